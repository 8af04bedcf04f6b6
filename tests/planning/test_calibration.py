"""From run folders to the next estimate: what was foretold and what was is indexed, survives a rebuild, and corrects the next plan."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pytest

from loralab import Lab
from loralab.core.events import Adjusted, Ended, EventLog, Outcome, Probed, Started, Stepped
from loralab.core.jobs import TrainJob
from loralab.planning.calibration import CAP, ENOUGH, TELLING, Experience, gather
from loralab.planning.estimate import stage_words
from tests.support import tiny

STEPS = 12


def proposed(lab):
    """A plan whose settings do not follow the speed of past runs."""
    return lab.propose(lab.profile(lab.samples()[0].path), epochs=1.0, effective_batch=8, micro_batch=8)


@pytest.fixture
def proposal(lab):
    return proposed(lab)


def past(home, name, plan, predicted, *, step=1.0, process=1.0, outcome: Outcome = "finished", more=()):
    """A run folder that ended: it took `step` and `process` times what was foretold."""
    folder = home / "runs" / name
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(TrainJob(run=name, plan=plan, predicted=predicted).model_dump_json())
    loaded = int(predicted.weights + process * predicted.process)
    result = {
        "peak_memory_bytes": loaded + int(step * predicted.step["closed form"]),
        "loaded_memory_bytes": loaded,
        "seconds": step * predicted.seconds,
    }
    (folder / "adapter.safetensors").write_bytes(b"x" * 1000)
    log = EventLog(folder / "events.jsonl")
    log(Started(pid=1, time=100.0))
    for n in range(1, STEPS + 1):
        log(
            Stepped(
                step=n, loss=1.0, grad_norm=1.0, learning_rate=1e-3, tokens=100, tokens_per_second=50.0, memory_bytes=1, total_steps=STEPS
            )
        )
    for event in more:
        log(event)
    log(Ended(outcome=outcome, result=result, time=100.0 + result["seconds"] + 25.0, step=STEPS))


def test_what_was_foretold_and_what_was_are_indexed_with_their_key(home, lab, proposal):
    said = proposal.footprint.predicted
    probe = Probed(text="Tried out.", bytes=123_456_789)
    past(home, "one", proposal.plan, said, step=1.2, process=0.9, more=[probe])
    lab.runs()
    with sqlite3.connect(lab.history.path) as db:
        db.row_factory = sqlite3.Row
        row = dict(db.execute("select * from runs").fetchone())
    assert row["setting"] == "cpu | LlamaForCausalLM | fp32 none"
    assert row["foretold_memory"] == proposal.footprint.memory_bytes
    assert row["probed_memory"] == 123_456_789
    assert row["step_memory"] / row["foretold_step"] == pytest.approx(1.2, rel=1e-4)
    assert row["process_memory"] / row["foretold_process"] == pytest.approx(0.9, rel=1e-4)
    assert row["peak_memory"] == row["process_memory"] + said.weights + row["step_memory"]
    assert row["measured_seconds"] == pytest.approx(1.2 * said.seconds)
    assert row["beside_seconds"] == pytest.approx(25.0)
    assert row["measured_disk"] > 1000


def test_past_runs_come_back_after_the_index_is_deleted_and_correct_the_next_plan(home, lab, proposal):
    said = proposal.footprint.predicted
    for n in range(ENOUGH):
        past(home, f"run{n}", proposal.plan, said, step=1.1, process=0.9)
    learned = gather(lab.history.measured())
    lab.history.path.unlink()
    assert gather(lab.history.measured()) == learned
    again = proposed(lab).footprint
    assert again.runs == ENOUGH
    assert again.memory_bytes == pytest.approx(said.weights + 1.1 * said.step["closed form"] + 0.9 * said.process, rel=1e-4)
    assert again.predicted.memory == {"closed form": said.memory["closed form"]}, "what the next run is held against is not corrected"


def test_one_odd_run_moves_nothing_and_a_wild_past_not_beyond_the_cap(home, lab, proposal):
    said = proposal.footprint.predicted
    for n in range(4):
        past(home, f"run{n}", proposal.plan, said)
    past(home, "odd", proposal.plan, said, step=40.0, process=30.0)
    assert proposed(lab).footprint.memory_bytes == pytest.approx(proposal.footprint.memory_bytes, rel=1e-4)
    for n in range(20):
        past(home, f"wild{n}", proposal.plan, said, step=40.0, process=30.0)
    assert proposed(lab).footprint.memory_bytes <= (1 + CAP) * proposal.footprint.memory_bytes + 10


@pytest.mark.parametrize(
    "predicted",
    [
        None,
        [],
        "x",
        {"memory": 1},
        {"key": 1, "device": None, "pace": "", "process": "x"},
        {"key": "k", "device": "cpu", "pace": "p", "process": 1, "memory": {"trace": float("nan")}, "step": {}, "seconds": 1},
    ],
)
def test_a_prediction_that_somebody_spoilt_teaches_nothing_and_the_run_is_still_listed(home, lab, proposal, predicted):
    past(home, "one", proposal.plan, proposal.footprint.predicted)
    file = home / "runs" / "one" / "job.json"
    job = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps(job | {"options": {"predicted": predicted}}), "utf-8")
    assert [row["id"] for row in lab.runs()] == ["one"]
    assert gather(lab.history.measured()).memory == {}


def test_a_plan_that_changed_on_the_way_and_a_run_that_failed_say_nothing_about_memory(home, lab, proposal):
    said = proposal.footprint.predicted
    past(home, "changed", proposal.plan, said, more=[Adjusted(setting="token_budget", before=512, after=128, reason="short of memory")])
    past(home, "failed", proposal.plan, said, outcome="failed")
    found = gather(lab.history.measured())
    assert found.memory == found.process == found.seconds == {}


def test_an_index_from_before_is_filled_up(home, lab, proposal):
    past(home, "one", proposal.plan, proposal.footprint.predicted)
    learned = gather(lab.history.measured())
    with sqlite3.connect(lab.history.path) as db:
        for (name,) in db.execute("select name from pragma_table_info('runs')").fetchall()[15:]:
            db.execute(f"alter table runs drop column {name}")
        db.execute("pragma user_version = 2")
    assert gather(lab.history.measured()) == learned != Experience()


@pytest.mark.worker
def test_a_trace_is_remembered_beside_the_closed_form_and_corrected_by_its_own_runs(home, lab, proposal):
    data = lab.profile(lab.samples()[0].path)
    found = lab.trace(proposal, data)
    said = found.predicted
    assert said is not None
    assert said.memory == {"closed form": proposal.footprint.memory_bytes, "trace": found.memory_bytes}
    for n in range(ENOUGH):
        past(home, f"run{n}", proposal.plan, said)
    ratio = said.step["closed form"] / said.step["trace"]
    corrected = lab.trace(proposal.plan, data)
    assert corrected.memory_bytes - found.memory_bytes == pytest.approx((max(1 - CAP, ratio) - 1) * said.step["trace"], abs=10)
    lab.tracer.close()


@pytest.mark.worker
def test_three_real_runs_bring_the_next_estimate_closer_to_what_is_measured(home, tmp_path):
    lab = Lab(home)
    model = str(tiny.model_folder(tmp_path / "model"))
    data = lab.profile(tiny.examples_file(tmp_path / "examples.jsonl"), model=model)
    chosen: dict[str, Any] = {"max_steps": TELLING, "patience": 0, "eval_every": 100, "rank": 4}
    before = lab.propose(data, model=model, **chosen)
    peaks, seconds = [], []
    for _ in range(ENOUGH):
        run = lab.start(before)
        view = lab.wait(run)
        assert view.state == "finished"
        peaks.append(lab.report(run)["peak_memory_bytes"])
        seconds.append(view.ended - view.started)
    after = lab.propose(data, model=model, **chosen).footprint
    measured = sorted(peaks)[1]
    assert abs(after.memory_bytes - measured) < abs(before.footprint.memory_bytes - measured)
    assert after.memory_bytes == pytest.approx(measured, rel=0.1)
    assert after.runs == ENOUGH
    assert stage_words(after).startswith(f"Corrected by {ENOUGH} runs measured on this computer; usually within ")
    assert abs(after.memory_bytes / before.footprint.memory_bytes - 1) <= CAP
    took = sorted(seconds)[1]  # with the start of the program and the judgement, which are known now
    assert abs((after.seconds or 0) - took) < abs((before.footprint.seconds or 0) - took)
