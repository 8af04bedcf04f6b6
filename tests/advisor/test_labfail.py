"""LabFail: the corpus is whole, the advisor is asked about a part of it, and the ranker keeps its promises."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advisor.diagnosis import ranker
from advisor.diagnosis.case import Case
from advisor.diagnosis.diagnose import diagnose, findings
from advisor.diagnosis.findings import CLOSE, Finding
from benchmarks.labfail.make.causes import causes
from benchmarks.labfail.records import HEALTHY, RUNS, LabRun, read, write
from benchmarks.labfail.replay import Answer, ask, case_of, macro_f1, noticed, right, wilson
from loralab.core.events import Stepped
from loralab.tasks.text import TextPlan

FILES = sorted(RUNS.glob("*.jsonl.xz"))
CLEAR = ("damaged_base", "fp16_overflow", "model_too_large", "killed_for_memory", "too_few_rows")  # what no other cause looks like


@pytest.fixture(scope="module")
def kept() -> dict[str, list[LabRun]]:
    """Some causes and some healthy runs, read from the repository."""
    return {name: list(read(RUNS / f"{name}.jsonl.xz")) for name in (*CLEAR, "rate_too_high", HEALTHY)}


def test_corpus_is_whole() -> None:
    """Every file is of a known cause, every run belongs there and says what it came from, and no place on a machine is in it."""
    assert {path.name.removesuffix(".jsonl.xz") for path in FILES} <= {*causes(), HEALTHY}
    assert sum(path.stat().st_size for path in FILES) < 20e6
    seen: set[str] = set()
    for path in FILES:
        for run in read(path):
            assert run.cause == path.name.removesuffix(".jsonl.xz")
            assert run.key not in seen
            seen.add(run.key)
            assert TextPlan.model_validate(run.plan)
            assert run.events
            assert "/tmp/" not in json.dumps(run.events)
            if run.cause != HEALTHY:
                assert run.injected
                assert math.isfinite(run.healthy_twin["best"])
                assert run.part in ("dev", "heldout")


def test_events_survive_the_file(tmp_path: Path, kept: dict[str, list[LabRun]]) -> None:
    """NaN and infinity, too: they are what a diagnosis rests on."""

    def broken(run: LabRun) -> bool:
        return any(isinstance(event, Stepped) and not math.isfinite(event.loss + event.grad_norm) for event in run.told)

    run = next(filter(broken, kept["fp16_overflow"]))  # some broke at the first look, before any update
    write(tmp_path / "one.jsonl.xz", [run])
    back = next(read(tmp_path / "one.jsonl.xz"))
    assert back.view.model_dump_json() == run.view.model_dump_json()
    assert broken(back)


def test_clear_causes_are_named(kept: dict[str, list[LabRun]]) -> None:
    """Causes that leave an unmistakable trace are named in nearly every run; a healthy run is not given them."""
    answers = [ask(run) for name in CLEAR for run in kept[name][:3]]
    assert sum(answer.top for answer in answers) >= 0.9 * len(answers), [a.run.key for a in answers if not a.top]
    unmistakable = {identity for name in CLEAR for identity in causes()[name].rules}
    for run in kept[HEALTHY][:10]:
        assert not unmistakable & {finding.id for finding in ask(run).found.alarms}, run.key


def test_counting() -> None:
    """Wilson's interval as in its tables, and F1 by hand."""
    assert wilson(270, 300) == "90.0 % [86.1, 92.9] of 300"
    assert wilson(0, 0) == "-"
    assert macro_f1([]) == 0.0


def test_wrong_answers_count_against_both(kept: dict[str, list[LabRun]]) -> None:
    """A cause that is not named lowers the score of its class."""
    answers = [ask(run) for run in kept["damaged_base"][:3]]
    silent = [Answer(a.run, a.found.model_copy(update={"findings": ()}), 0.0) for a in answers]
    assert macro_f1(silent) < macro_f1(answers)
    assert not right(answers[0].run, None)


def _two(case: Case) -> tuple[Finding, ...]:
    """A healthy-looking pair of alarms, alike in confidence."""
    first = Finding(rule="a", id="R1", group="memory", title="A", words="", severity="error", action="inform", confidence=0.8)
    return (first, first.model_copy(update={"rule": "b", "id": "R2", "confidence": 0.75}))


def _ranker(threshold: float = 0.5) -> ranker.Ranker:
    """One that prefers b however a run looks."""
    return ranker.Ranker(("rate",), ("a", "b", "c"), np.zeros(1), np.ones(1), np.zeros((3, 1)), np.array([0.0, 2.0, 9.0]), threshold)


def test_ranker_orders_and_adds_nothing(kept: dict[str, list[LabRun]]) -> None:
    """The likelier comes first with a confidence to show it; c, which no rule saw, does not appear though it is likeliest of all."""
    case = case_of(kept["rate_too_high"][0], kept["rate_too_high"][0].view)
    pair = _two(case)
    ordered = _ranker().order(case, pair)
    assert [finding.rule for finding in ordered] == ["b", "a"]
    assert ordered[0].confidence - ordered[1].confidence > CLOSE
    assert all(finding.alarm for finding in ordered)
    assert _ranker(threshold=0.99).order(case, pair) == pair  # not sure enough: the rules' own order
    assert _ranker().order(case, pair[:1]) == pair[:1]


def test_ranker_does_not_know_model_or_data(kept: dict[str, list[LabRun]]) -> None:
    """What it looks at is the same when everything that tells the model or the file is another."""
    run = kept["rate_too_high"][0]
    case = case_of(run, run.view)
    assert case.facts is not None
    plan = case.plan.model_copy(update={"base_model": "other", "dataset": "other.csv", "title": "other", "seed": 9})
    strange = case.facts.model_copy(
        update={"architecture": "other", "vocabulary": 7, "hidden": 7, "layers": 7, "parameters": 7, "data": "x"}
    )
    other = replace(case, plan=plan, asked=plan.model_copy(update={"learning_rate": case.asked.learning_rate}), facts=strange, log="")
    same = replace(case, asked=plan.model_copy(update={"learning_rate": case.asked.learning_rate}))
    assert ranker.features(other, ()) == ranker.features(same, ())
    assert not {name for name in ranker.features(case, ()) if "model" in name or "vocab" in name}


def test_shipped_ranker_fits_the_rules() -> None:
    """The causes in the file are rules there are, its numbers are finite, and it changes only the order of what was found."""
    found = ranker.fitted()
    if found is None:
        pytest.skip("no ranker is shipped")
    from advisor.rules import rules

    assert set(found.causes) <= set(rules())
    assert found.weights.shape == (len(found.causes), len(found.features))
    assert np.isfinite(found.weights).all()
    run = next(read(RUNS / "rate_too_high.jsonl.xz"))
    case = case_of(run, run.view)
    assert {finding.rule for finding in diagnose(case).findings} == {finding.rule for finding in findings(case)}


def test_a_run_that_ends_over_broken_numbers_has_noticed_them(kept: dict[str, list[LabRun]]) -> None:
    """A damaged base ends the run in that update without an incident; one that says nothing, or only of something else, noticed nothing."""

    def at(event: dict[str, Any]) -> bool:
        return event["type"] == "stepped" and not math.isfinite(float(event["loss"]))

    run = next(run for run in kept["damaged_base"] if any(map(at, run.events)))
    assert noticed(run) == 0
    step = next(event["step"] for event in run.events if at(event))
    silent = run.model_copy(update={"events": [e for e in run.events if e["type"] != "ended"]})
    early = {"type": "incident", "time": 0.0, "step": step - 1, "code": "non_finite", "text": "", "data": {}}
    for other in (silent, silent.model_copy(update={"events": [early, *silent.events]})):
        assert noticed(LabRun.model_validate(other.model_dump())) == 10**6
