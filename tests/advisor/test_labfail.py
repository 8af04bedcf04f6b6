"""LabFail: the corpus is whole, the advisor is asked about a part of it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks.labfail.make.causes import causes
from benchmarks.labfail.records import HEALTHY, RUNS, LabRun, read, write
from benchmarks.labfail.replay import Answer, ask, macro_f1, noticed, right, wilson
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
