"""The file that says what a pipeline does: mistakes are told with their line."""

from __future__ import annotations

from pathlib import Path

import pytest

from loralab.core.errors import UserError
from loralab.templates.recipe import Written


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("name: a\ndata: d\nmodle: x\n", 3, "modle: there is no such setting; did you mean “model”?"),
        ("name: a\ndata: d\nexport:\n  - format: gguf\n    varient: q8_0\n", 5, "did you mean “variant”?"),
        ("name: a\n\ndata: d\nbenchmark:\n  tokens: many\n", 5, "benchmark.tokens"),
        ("data: d\n", 1, "name: this is missing"),
        ("name: a\ndata: [\n", 3, "expected"),
        ("name: a\n\tdata: d\n", 2, "tab|token"),
        ("name: ../a\ndata: d\n", 1, "name"),
        ("name: a\ndata: d\nexport: gguf\n", 3, "export"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(UserError, match=rf"plan\.yaml, line {line}: .*({words.replace('?', '[?]')})"):
        Written(tmp_path / "plan.yaml")


@pytest.mark.parametrize("raw", [b"", b"just words", b"\xff\xfe\x00", b"- a\n- b\n"])
def test_what_is_no_recipe_is_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "plan.yaml").write_bytes(raw)
    with pytest.raises(UserError, match=r"plan\.yaml"):
        Written(tmp_path / "plan.yaml")
    with pytest.raises(UserError, match="cannot be read"):
        Written(tmp_path / "none.yaml")


def test_data_beside_the_file_goes_before_a_bundled_name(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("name: a\ndata: mine.csv\n")
    assert Written(tmp_path / "plan.yaml").data_path() == "mine.csv"
    (tmp_path / "mine.csv").write_text("a,b\n")
    assert Written(tmp_path / "plan.yaml").data_path() == str(tmp_path / "mine.csv")
