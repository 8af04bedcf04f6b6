"""Preflight of pictures through the same doors as for text, and what is said of a run on pictures that has ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from advisor.advisor import Advisor
from advisor.cli import check, commands
from advisor.diagnosis import preflight
from advisor.diagnosis.diagnose import diagnose
from advisor.diagnosis.findings import Finding
from advisor.words.annotations import notes
from advisor.words.answers import answer, answer_topic
from advisor.words.intents import QUESTIONS
from advisor.words.story import story
from advisor.words.summary import RunSummary
from loralab.cli import app
from loralab.core.events import Event
from loralab.core.jobs import TrainJob
from loralab.lab import Lab
from tests.support import small_pictures
from tests.support.picture_cases import done, final, judged, ran, rows

FALLING = [0.6 * 0.97**n for n in range(60)]
WRONG = rows(40, [(0.97, "dog"), (0.99, "dog"), (0.93, "dog")])


def put(lab: Lab, run: str, *events: Event, evaluation: dict[str, object] | None = None, **settings: object) -> str:
    """A run of the past on pictures, as its files are."""
    case = ran(*events, losses=FALLING, looks=[0.5, 0.4, 0.35, 0.33], **settings)  # pyright: ignore[reportArgumentType]
    assert case.view is not None
    told: list[Event] = [*case.view.evaluations[:1], *case.view.steps, *case.view.evaluations[1:5], *events]
    folder = lab.home / "runs" / run
    (folder / "artifacts").mkdir(parents=True)
    (folder / "job.json").write_text(TrainJob(run=run, plan=case.plan.model_dump()).model_dump_json(), "utf-8")
    measured = case.view.measured
    assert measured is not None
    lines = [event.model_dump_json() for event in (measured, *sorted(told, key=lambda event: event.step))]
    (folder / "events.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    if evaluation is not None:
        (folder / "artifacts" / "evaluation.json").write_text(json.dumps(evaluation), "utf-8")
    return run


def told_before(lab: Lab, data: Path, **settings: Any) -> dict[str, Finding]:
    """What the advisor says of the plan proposed for these pictures."""
    proposal = lab.propose(lab.profile(data), **settings)
    return {finding.rule: finding for finding in Advisor(lab).preflight(proposal.plan).findings}


def test_nothing_stands_in_the_way_of_a_usual_plan(tmp_path: Path, lab: Lab) -> None:
    said = told_before(lab, small_pictures.things(tmp_path / "a.zip", 60))
    assert [finding.rule for finding in said.values() if finding.severity != "info"] == []


def test_settings_that_destroy_or_drown_what_is_to_be_learned_are_told(tmp_path: Path, lab: Lab) -> None:
    data = small_pictures.things(tmp_path / "a.zip", 60)
    assert "tiny_things" in told_before(lab, data, image_size=32)
    assert "rate_far_off" in told_before(lab, data, learning_rate=0.2)
    assert "enlarged" in told_before(lab, data, image_size=512)


def test_the_same_pictures_are_read_once(tmp_path: Path, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from loralab.planning import examined_pictures

    reads: list[object] = []
    read = examined_pictures.load_pictures
    monkeypatch.setattr(examined_pictures, "load_pictures", lambda *given: reads.append(given) or read(*given))
    plan = lab.propose(lab.profile(small_pictures.shapes(tmp_path / "a.zip", 10))).plan
    advisor = Advisor(lab)
    advisor.preflight(plan)
    advisor.preflight(plan | {"learning_rate": 2e-3, "image_size": 128})
    assert len(reads) == 1


def test_the_command_looks_at_a_zip_of_pictures(
    tmp_path: Path, lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands.register(app.app)
    data = small_pictures.shapes(tmp_path / "few.zip", 8)
    monkeypatch.setattr("sys.argv", ["loralab", "check", str(data), "--json"])
    with pytest.raises(SystemExit) as end:
        app.main(app.Ways(check.begin, check.propose))
    assert not end.value.code
    found = json.loads(capsys.readouterr().out)
    assert found["blocked_by"] is None
    assert "few_of_a_class" in [one["rule"] for one in found["findings"]]


def test_a_start_goes_through_the_advisor(tmp_path: Path, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[object] = []
    monkeypatch.setattr(Lab, "start", lambda self, plan, origin=None: begun.append(plan) or "run")
    profile = lab.profile(small_pictures.shapes(tmp_path / "a.zip", 10))
    assert Advisor(lab).start(lab.propose(profile), profile=profile) == "run"
    assert begun
    tests: list[Any] = []
    monkeypatch.setattr(Lab, "begin", lambda self, job: tests.append(job) or f"run-{len(tests)}")
    plan = lab.propose(profile).plan
    assert Advisor(lab).test_first(plan, profile) == ("run-1", "run-2", "run-3")
    assert [job.origin.usual for job in tests] == [True, False, False]
    assert len({job.plan["learning_rate"] for job in tests}) == 3
    assert {job.plan["task"] for job in tests} == {"classify"}


def test_only_what_is_certain_would_stand_in_the_way(tmp_path: Path, lab: Lab) -> None:
    plan = lab.propose(lab.profile(small_pictures.shapes(tmp_path / "a.zip", 10)), learning_rate=0.5, image_size=32).plan
    assert preflight.blocking(Advisor(lab).preflight(plan)) is None


# ---- after a run -------------------------------------------------------------------------------------------------------------
def test_a_run_on_pictures_is_diagnosed_with_what_its_verdict_rests_on(lab: Lab) -> None:
    run = put(lab, "warm-otter", final("classify", 0.5, 0.9), *done(), evaluation=judged(rows=WRONG, probe=(0.8, 0.9, "better")))
    advisor = Advisor(lab)
    said = {finding.rule: finding for finding in advisor.diagnose(run).findings}
    assert said["likely_wrong_labels"].evidence[0].rows == (2, 1, 3)
    assert advisor.remember(run).findings
    assert advisor.repair(run) is None
    assert advisor.tries(run)
    assert advisor.annotations(run)
    assert "class" in advisor.story(run).text
    bare = put(lab, "bare-otter", final("classify", 0.5, 0.9), *done())
    assert "likely_wrong_labels" not in {finding.rule for finding in advisor.diagnose(bare).findings}


def test_a_gone_or_damaged_verdict_file_is_as_good_as_none(lab: Lab) -> None:
    run = put(lab, "torn-otter", final("classify", 0.5, 0.9), *done(), evaluation={})
    (lab.home / "runs" / run / "artifacts" / "evaluation.json").write_text("{", "utf-8")
    assert lab.verdict_rests_on(run) == {}
    assert Advisor(lab).diagnose(run).run == run


@pytest.mark.parametrize("task", ["classify", "segment", "detect"])
def test_every_question_is_answered_without_a_word_of_text(task: str) -> None:
    case = ran(final(task, 0.5, 0.7, usable="partly"), *done(), task=task, losses=FALLING, looks=[0.5, 0.4, 0.35, 0.33])
    summary = RunSummary(case, diagnose(case))
    said = [answer_topic(summary, topic) for topic in QUESTIONS if topic not in ("term", "setting", "mark", "number", "unknown", "level")]
    said += [
        answer(summary, asked)
        for asked in ("what is rank?", "which learning rate was used?", "which picture size was used?", "is 0.4 good?")
    ]
    said += [story(summary).text, *(note.text for note in notes(summary))]
    for words in said:
        assert not any(word in words.lower() for word in (" token", "chat", "next piece of text", "larger model")), words
