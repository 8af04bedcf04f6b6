"""What the memory holds, told in plain words, and the command that shows, takes along and forgets it."""

from __future__ import annotations

import json

import pytest

from advisor.advisor import Advisor
from advisor.diagnosis.findings import Diagnosis, Evidence, Finding
from advisor.proposals.learned import limits
from advisor.words.remembered import note, remembered
from loralab.cli import app
from loralab.core.errors import UserError
from loralab.core.events import Incident
from tests.support.remembering import oom, shrunk, writer


@pytest.fixture
def write(home):
    return writer(home)


def test_an_empty_memory_says_so(lab):
    page = remembered(lab)
    assert page.words.startswith("Nothing is remembered yet")
    assert not any(section.rows for section in page.sections)


def test_the_page_tells_what_failed_what_fits_and_what_was_done(lab, write):
    write("a", oom(), shrunk())
    write("b", outcome="failed", code="diverged", learning_rate=0.01, max_length=64)
    advice = lab.history.memories.note_advice("b", "Use a smaller learning rate.")
    lab.history.memories.note_taken(advice, taken=True)
    page = Advisor(lab).remembered()
    by = {section.title: section for section in page.sections}
    assert page.words.startswith("2 runs are remembered. ")
    assert {row[0] for row in by["Runs of this workspace"].rows} == {"a", "b"}
    assert "memory ran out" in str(by["Runs of this workspace"].rows)
    failed = by["What failed and will not be repeated"].rows
    assert {(row[0], row[3]) for row in failed} == {("memory", "a"), ("learning rate", "b")}
    assert "effective learning rate 0.02" in str(failed)
    assert ("memory", "a") in {(row[0], row[3]) for row in by["What is known to go well"].rows}
    assert "tokens at once 0 → 180" in str(by["What was changed, and what came of it"].rows)
    assert by["Advice"].words == "1 piece of advice so far; you took 1."


def test_a_diagnosis_is_written_down_once_and_only_what_is_kept_of_it(lab, write):
    write("a")
    finding = Finding(
        rule="diverged",
        id="R26",
        group="instability",
        title="Too big",
        words="It ran away.",
        severity="error",
        action="retry",
        confidence=0.9,
        evidence=(Evidence(what="loss", value=float("nan"), step=3),),
    )
    for _ in range(2):
        note(lab, Diagnosis(run="a", findings=(finding,)))
    found = lab.history.memories.of("a").findings
    assert [(one.rule, one.title, one.confidence) for one in found] == [("diverged", "Too big", 0.9)]
    assert found[0].evidence[0]["value"] is None
    assert (lab.home / "memory.jsonl").read_text().count("Too big") == 1


def test_each_line_can_be_forgotten_alone_and_what_it_hid_is_known_again(lab, write, command):
    write("a", token_budget=834)
    write("b", oom(), token_budget=834, outcome="killed", code="out_of_memory")
    lab.history.memories.note_advice("b", "Close other programs.", rule="killed_for_memory")
    again = lab.history.memories.note_advice("b", "Close other programs.", rule="killed_for_memory")

    def lines(title):
        return next(section for section in Advisor(lab).remembered().sections if section.title == title).lines

    failed, fits, advice = "What failed and will not be repeated", "What is known to go well", "Advice"
    assert lines(advice) == (again,), "said twice it is one advice"
    (wrong,) = (line for line in lines(failed) if line.startswith("memory"))
    before = set(lines(fits))
    command("--forget", wrong)
    assert not [line for line in lines(failed) if line.startswith("memory")]
    assert set(lines(fits)) > before, "the proof that it went well counts again"
    assert lab.history.memories.of("b"), "the run itself is remembered"
    command("--forget", again)
    assert lines(advice) == ()
    with pytest.raises(UserError, match="not remembered"):
        lab.history.memories.forget_line(wrong)


@pytest.mark.parametrize(("proof", "learned"), [({"oom_kills": 1}, True), ({"short": True}, True), ({"short": False}, False), ({}, False)])
def test_nothing_is_learned_from_a_death_that_nobody_can_explain(lab, write, proof, learned):
    write("a", token_budget=834)
    write("b", Incident(step=3, code="killed_for_memory", text="It was killed.", data={"exit_code": -9, **proof}), token_budget=834)
    known = {point.run for point in limits(lab).failed if point.kind == "memory"}
    assert known == ({"b"} if learned else set())
    assert bool([point for point in limits(lab).fits if point.kind == "memory"]) is not learned


@pytest.fixture
def command(lab, capsys):
    from typer.testing import CliRunner

    from advisor.cli import commands

    known = {getattr(one.callback, "__name__", "") for one in app.app.registered_commands}
    if "memory" not in known:
        commands.register(app.app)

    def said(*arguments: str) -> dict:
        done = CliRunner().invoke(app.app, ["memory", *arguments, "--home", str(lab.home), "--json"])
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return json.loads(done.stdout.strip().splitlines()[-1])

    return said


def test_the_command_shows_searches_takes_along_and_forgets(tmp_path, command, write):
    write("a", oom())
    assert command()["counts"] == {"run": 1, "kept": 0, "imported": 0}
    assert [one["run"] for one in command("--search", "memory qwen")["found"]] == ["a"]
    assert command("--export", str(tmp_path / "m.zip"))["exported"] == 1
    assert command("--import", str(tmp_path / "m.zip"))["known"] == 1
    assert command("--forget", "a")["forgotten"] == 1
    assert command("--import", str(tmp_path / "m.zip"))["forgotten"] == 1
    assert command("--forget", "everything")["forgotten"] == 0
    assert command("--import", str(tmp_path / "m.zip"))["forgotten"] == 1
    with pytest.raises(UserError, match="at once"):
        command("--forget", "a", "--search", "b")
