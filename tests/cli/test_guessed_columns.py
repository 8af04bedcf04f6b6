"""A guess about columns stays a guess: it is told with examples, asked about before training, and never remembered as an answer."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from advisor.cli import commands
from advisor.diagnosis import preflight
from loralab.cli.app import app
from loralab.cli.console import confirmed, told_guess, told_left_out
from loralab.core.errors import LabError, UserError
from loralab.core.paths import STARTER
from loralab.lab import Lab
from loralab.planning.examined import what_is_learned

commands.register(app)


@pytest.fixture
def guessed(tmp_path: Path) -> Path:
    path = tmp_path / "replies.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["Customer", "What we wrote"])
        for at in range(40):
            rows.writerow([f"My parcel number {at} never came to my door.", f"We are sorry and send number {at} again tomorrow."])
    return path


def run(home: Path, *words: str) -> tuple[int, str, Any]:
    """(exit code, all that was said, the problem or None) of a command line in this process."""
    found = CliRunner().invoke(app, [*words, "--home", str(home)])
    return found.exit_code, found.output, found.exception.problem if isinstance(found.exception, LabError) else None


def test_a_guess_is_shown_with_examples_of_each_choice(guessed: Path, home: Path) -> None:
    lab = Lab(home)
    profile = lab.profile(guessed)
    assert (profile.certain, [len(choice.examples) for choice in profile.choices]) == (False, [2, 2, 2])
    assert profile.choices[0].roles == profile.roles
    assert len({json.dumps(choice.roles) for choice in profile.choices}) == 3
    lines = "\n".join(told_guess(profile))
    assert "(the guess)" in lines
    assert "row 2: My parcel number 0 never came to my door. → We are sorry" in lines
    sure = lab.profile(guessed, roles={"prompt": "Customer", "answer": "What we wrote"})
    assert (sure.certain, sure.choices, told_guess(sure)) == (True, (), [])


def test_nothing_trains_on_a_guess_unasked_and_none_is_remembered(guessed: Path, home: Path) -> None:
    for command in (("train",), ("pilot",)):
        _, said, problem = run(home, *command, str(guessed))
        assert problem.code == "roles_unclear"
        assert "(the guess)" in said
    assert not Lab(home).names()
    assert not (home / "datasets" / "roles.json").exists()  # looking at it is no answer
    proposal = Lab(home).propose(Lab(home).profile(guessed))
    confirmed(proposal, yes=True)
    confirmed(Lab(home).propose(Lab(home).profile(guessed, roles={"prompt": "Customer", "answer": "What we wrote"})), yes=False)
    with pytest.raises(UserError, match="guess"):
        confirmed({**proposal.plan, "guessed": True}, yes=False)


def test_the_check_says_it_though_it_reads_the_file_by_the_columns(guessed: Path, home: Path) -> None:
    lab = Lab(home)
    plan = lab.typed(lab.propose(lab.profile(guessed)))
    facts, profile = what_is_learned(plan, STARTER)
    assert (facts.guessed, profile.certain) == (True, False)
    assert "roles_unclear" in {finding.rule for finding in preflight.preflight(lab, plan).findings}
    code, said, _ = run(home, "check", str(guessed))
    assert code == 0
    assert "(the guess)" in said
    assert "The columns are a guess" in said
    sure = plan.model_copy(update={"guessed": False})
    assert "roles_unclear" not in {finding.rule for finding in preflight.preflight(lab, sure).findings}


def test_rows_left_out_are_told_with_numbers_that_add_up(tmp_path: Path, home: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [{"question": f"Is {at} even?", "answer": "" if at % 2 else "yes"} for at in range(40)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    profile = Lab(home).profile(path)
    assert told_left_out(profile) == ["Left out: 20 of 40 rows.", "  20 × The answer (column “answer”) is empty. (first in row 2)"]
    assert told_left_out(Lab(home).profile(Lab(home).samples()[0].path)) == []


def test_a_missing_part_of_the_base_model_is_told_before_a_start(tmp_path: Path, home: Path, guessed: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(STARTER, broken, ignore=shutil.ignore_patterns("*.safetensors"))
    index = {"metadata": {}, "weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (broken / "model.safetensors.index.json").write_text(json.dumps(index))
    shutil.copy(next(STARTER.glob("*.safetensors")), broken / "model-00001-of-00002.safetensors")
    code, said, _ = run(home, "check", str(guessed), "--model", str(broken))
    assert code == 1
    assert "A part of the weights is missing (model-00002-of-00002.safetensors)." in said
