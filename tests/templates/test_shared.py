"""Templates as one file: what a run becomes, what comes in, and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from zipfile import ZipFile

import pytest

from loralab.cli.app import app
from loralab.core.errors import UserError
from loralab.core.paths import room
from loralab.lab import Lab, Written

GOOD = "name: Letters\nabout: Sort letters.\nneeds: A table.\nmodel: starter\nplan: {epochs: 3}\n"


def kept(home: Path) -> list[str]:
    """Everything that lies in the workspace's templates."""
    return sorted(str(file.relative_to(home / "templates")) for file in (home / "templates").rglob("*"))


def test_a_file_that_was_given_is_among_the_templates_and_can_be_taken_away(home: Path, tmp_path: Path) -> None:
    (tmp_path / "given.yaml").write_text(GOOD)
    lab = Lab(home)
    found = lab.add_template(tmp_path / "given.yaml")
    again = lab.add_template(tmp_path / "given.yaml")
    assert (found.name, found.own, found.data, again.name) == ("letters", True, "", "letters_2")
    assert lab.templates("sort my letters")[0].name.startswith("letters")
    for one in (found, again):
        lab.remove_template(one.name)
    assert kept(home) == []
    with pytest.raises(UserError, match="comes along"):
        lab.remove_template("poet")


def test_examples_come_along_in_a_zip(home: Path, tmp_path: Path) -> None:
    with ZipFile(tmp_path / "given.zip", "w") as packed:
        packed.writestr("template.yaml", GOOD + "data: mine.csv\n")
        packed.writestr("mine.csv", "question,answer\na,b\n")
    found = Lab(home).add_template(tmp_path / "given.zip")
    assert Path(found.data).read_text() == "question,answer\na,b\n"


@pytest.mark.parametrize(
    ("name", "files", "words"),
    [
        ("a.yaml", {"": "name: [\n"}, r"template\.yaml, line"),
        ("a.yaml", {"": GOOD + "modle: x\n"}, "did you mean “model”"),
        ("a.yaml", {"": GOOD + "data: /etc/passwd\n"}, "names examples that did not come with it: passwd"),
        ("a.yaml", {"": GOOD + "data: ../../secret.csv\n"}, "names examples that did not come with it"),
        ("a.txt", {"": GOOD}, "is no template"),
        ("a.zip", {"other.csv": "a,b\n"}, "holds no template"),
        ("a.zip", {"template.yaml": GOOD, "left.csv": "a,b\n"}, "holds a file that it does not speak of"),
        ("a.zip", {"template.yaml": GOOD + "data: ../x.csv\n", "../x.csv": "a\n"}, "points outside"),
        ("a.zip", {"template.yaml": GOOD + "data: b.csv\n", "c.csv": "a\n"}, "names examples that did not come with it"),
        ("a.zip", {f"{n}.csv": "a\n" for n in range(9)}, "not safe"),
    ],
)
def test_what_is_no_template_is_refused_and_nothing_is_kept(home: Path, tmp_path: Path, name: str, files: dict, words: str) -> None:
    if "" in files:
        (tmp_path / name).write_text(files[""])
    else:
        with ZipFile(tmp_path / name, "w") as packed:
            for inner, content in files.items():
                packed.writestr(inner, content)
    with pytest.raises(UserError, match=words):
        Lab(home).add_template(tmp_path / name)
    assert kept(home) == []


def test_a_broken_file_of_the_workspace_stands_in_nobodys_way(home: Path) -> None:
    folder = room("templates", home) / "mine"
    folder.mkdir()
    (folder / "mine.yaml").write_text("name: [\n")
    assert Lab(home).template("poet")


@pytest.mark.worker
@pytest.mark.parametrize("data", [False, True])
def test_a_run_becomes_a_template_and_opens_elsewhere(learned, home: Path, tmp_path: Path, data: bool, capsys) -> None:
    learned.copy(home)
    out = tmp_path / "Colours 2.1"
    app(["templates", "--save", learned.run, "--out", str(out), *(["--with-data"] if data else []), "--json"], standalone_mode=False)
    place = Path(json.loads(capsys.readouterr().out)["file"])
    assert place.name == f"Colours 2.1{'.zip' if data else '.yaml'}"
    raw = place.read_bytes()
    plan, view = Lab(home).job(learned.run).plan, Lab(home).view(learned.run)
    elsewhere = Lab(tmp_path / "elsewhere")
    found = elsewhere.add_template(place)
    assert found.recipe.plan["learning_rate"] == plan["learning_rate"]
    assert not {"base_model", "dataset", "token_budget", "micro_batch"} & found.recipe.plan.keys()
    assert found.recipe.usable == (view.conclusion.usable if view.conclusion else None)
    assert bool(found.recipe.rows) == data, "a person's rows go along only where they said so"
    assert bool(found.data) == data
    assert os.sep not in found.recipe.model
    assert str(home).encode() not in raw
    if data:
        assert elsewhere.profile(found.data, roles=found.recipe.roles).n_kept
    Written(Path(found.path))
