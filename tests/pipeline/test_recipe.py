"""The file that says what a pipeline does: mistakes are told with their line; the bundled ones can be done."""

from __future__ import annotations

from pathlib import Path

import pytest

from loralab.core.errors import UserError
from loralab.core.paths import DATA
from loralab.datasets.samples import samples
from loralab.pipeline.recipe import Recipe, Written
from loralab.tasks import parse_plan

ZOO = sorted((DATA / "templates" / "zoo").glob("*.yaml"))


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


@pytest.mark.parametrize("path", ZOO, ids=lambda path: path.stem)
def test_the_bundled_recipes_name_data_and_settings_there_are(path: Path) -> None:
    recipe: Recipe = Written(path).recipe
    known = {sample.name: sample.task for sample in samples()}
    assert recipe.data in known or (path.parent / recipe.data).is_file()
    assert recipe.about
    assert recipe.expect
    assert recipe.minutes
    parse_plan({"task": known.get(recipe.data, "text"), **recipe.plan})


def test_there_are_bundled_recipes() -> None:
    assert len(ZOO) > 5
