"""A whole way through real workers, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loralab.cli.app import app
from loralab.core.errors import UserError
from loralab.lab import Lab
from tests.support import tiny
from tests.support.learned import SETTINGS

pytestmark = pytest.mark.worker


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    base = tiny.model_folder(tmp_path / "base")
    tiny.examples_file(tmp_path / "colours.jsonl")
    plan = {name: value for name, value in SETTINGS.items() if name != "checkpoint_minutes"}
    text = f"name: Colours\ndata: colours.jsonl\nmodel: {base}\nplan: {json.dumps(plan)}\nexport:\n  - {{format: adapter}}\n"
    (tmp_path / "plan.yaml").write_text(text)
    return tmp_path / "plan.yaml"


def say(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[dict, str]:
    app(["pipeline", *words, "--json", "--yes"], standalone_mode=False)
    told = capsys.readouterr()
    return json.loads(told.out), told.err


def test_from_a_file_to_an_adapter_and_nothing_twice(recipe: Path, home: Path, capsys) -> None:
    due, _ = say(capsys, str(recipe), "--why")
    assert [step["why"] for step in due["steps"]] == ["it was not done yet"] * 4
    made, _ = say(capsys, str(recipe))
    run = made["steps"]["train"]["run"]
    assert Path(made["steps"]["evaluate"]["report"]).read_text("utf-8").count("<html") == 1
    assert made["steps"]["evaluate"]["learned"] in ("yes", "no", "unknown")
    (export,) = made["steps"]["export"]["exports"]
    assert Path(export["path"]).exists()
    again, told = say(capsys, str(recipe))
    assert again == made
    assert told.count("nothing has changed") == 4
    recipe.write_text(recipe.read_text().replace('"epochs": 2', '"epochs": 1'))
    due, _ = say(capsys, str(recipe), "--why")
    assert [step["why"].split(",")[0] for step in due["steps"]] == ["", "the setting epochs changed", *["it comes after train"] * 2]
    gone, _ = say(capsys, str(recipe), "clean")
    assert run not in Lab(home).names()
    assert any("in the trash" in words for words in gone["removed"])
    due, _ = say(capsys, str(recipe), "--why")
    assert all(step["due"] for step in due["steps"])


@pytest.mark.parametrize(("change", "line"), [(("colours.jsonl", "none.jsonl"), 2), (('"rank": 4', '"rank": -4'), 4)])
def test_a_wrong_file_or_setting_is_told_with_its_line(recipe: Path, home: Path, capsys, change: tuple[str, str], line: int) -> None:
    recipe.write_text(recipe.read_text().replace(*change, 1))
    with pytest.raises(UserError, match=rf"plan\.yaml, line {line}: "):
        say(capsys, str(recipe))
