"""A whole workspace that version 0.1.0 wrote is listed, shown, compared, remembered, and goes on where it was left.

It holds a finished run, one that was stopped, one without its examples, a control on shuffled answers, an export, a second judging, and the
memory of a run that was deleted and of one to be forgotten.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from advisor.advisor import Advisor
from loralab.core import parity
from loralab.core.events import RunView
from loralab.core.jobs import Control, EvaluateJob, ExportJob, TrainJob
from loralab.lab import Lab
from tests.conftest import ended, until

PACKED = Path(__file__).parents[1] / "support" / "old_workspace" / "workspace.zip"
DAY = "2026-11-30-"
FINISHED, STOPPED, CONTROL, FAILED = (DAY + name for name in ("ready-kite", "zesty-fox", "sleek-ferret", "zesty-pika"))
EXPORT, JUDGED, DELETED = (DAY + name for name in ("nimble-lynx", "snug-tern", "gentle-dove"))


@pytest.fixture
def old(home: Path) -> Lab:
    """The workspace as it was left, only in another place."""
    with zipfile.ZipFile(PACKED) as packed:
        for name in packed.namelist():
            path = home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(packed.read(name).replace(b"{workspace}", home.as_posix().encode()))
    return Lab(home)


def test_it_is_listed_and_each_job_is_what_it_meant(old: Lab) -> None:
    states = {row["id"]: (row["kind"], row["state"]) for row in old.runs()}
    assert states == {
        FINISHED: ("train", "finished"),
        STOPPED: ("train", "stopped"),
        CONTROL: ("train", "finished"),
        FAILED: ("train", "failed"),
        EXPORT: ("export", "finished"),
        JUDGED: ("evaluate", "finished"),
    }
    job, control = old.job(FINISHED), old.job(CONTROL)
    assert isinstance(job, TrainJob)
    assert (job.title, job.origin, job.model) == ("Colours", None, str(old.home / "models" / "base"))
    assert job.predicted is not None
    assert job.predicted.memory == {"closed form": 431264322}
    assert isinstance(control, TrainJob)
    assert control.origin == Control(of=FINISHED)
    assert old.job(EXPORT) == ExportJob(run=EXPORT, of=FINISHED, format="adapter", model=job.model, adapter=old.view(FINISHED).trained)
    assert old.job(JUDGED) == EvaluateJob(run=JUDGED, of=FINISHED, checkpoint="best", model=job.model)


def test_its_runs_are_shown_reported_and_compared(old: Lab) -> None:
    report = old.report(FINISHED)
    assert (report["outcome"], report["steps"], report["n_heldout"], report["judgement"]["verdict"]) == (
        "finished",
        26,
        8,
        "no difference seen",
    )
    assert (report["base_loss"], report["adapter_loss"]) == pytest.approx((5.9734, 5.8326), abs=1e-3)
    view = old.view(FINISHED)
    assert view.facts is not None
    assert (view.facts.n_train, view.facts.layers, len(view.steps)) == (52, 2, 26)
    assert (old.home / "models" / "base").name in old.report_page(FINISHED)
    assert "Colours" in old.card(FINISHED)
    assert [one.name for one in old.subjects(FINISHED)] == [EXPORT]
    assert old.compare(FINISHED, CONTROL).scores
    assert old.controls(FINISHED).shuffled == CONTROL
    compared = old.view(EXPORT).compared
    assert compared is not None
    assert compared.outcome == "proven"
    found = parity.read(old.home / "exports" / FINISHED / "adapter")
    assert found is not None
    assert (found.proven, len(found.checks)) == (True, 7)


def test_what_went_wrong_is_found_in_it(old: Lab) -> None:
    advisor = Advisor(old)
    assert advisor.diagnose(FINISHED).findings[0].rule == "few_updates"
    failed = advisor.diagnose(FAILED)
    assert "cannot be read any more" in failed.findings[0].title
    assert advisor.repair(FAILED) is None
    assert [told.run for told in advisor.tries(CONTROL)] == [CONTROL]


def test_it_is_remembered_and_forgotten(old: Lab) -> None:
    memories = old.history.memories
    assert {one.run for one in memories.recent()} == {FINISHED, STOPPED, CONTROL, DELETED}
    deleted = memories.of(DELETED)
    assert deleted is not None
    assert deleted.findings[0].rule == "few_updates"
    memories.forget(DELETED)
    assert memories.of(DELETED) is None
    assert DELETED.encode() not in b"".join(
        line for line in (old.home / "memory.jsonl").read_bytes().splitlines() if b"forgotten" not in line
    )


@pytest.mark.worker
def test_the_stopped_run_goes_on_from_its_checkpoint(old: Lab, home: Path) -> None:
    old.resume(STOPPED)
    until(lambda: old.view(STOPPED).step >= 155)
    old.stop(STOPPED)
    view = ended(home, STOPPED)
    assert view.state == "stopped"
    assert any("Went on from update 152 of 5200" in note.text for note in view.notes)
    assert [step.step for step in view.steps] == list(range(1, view.step + 1))
    assert _loss(view, 153) == pytest.approx(_loss(view, 152), abs=0.1)


@pytest.mark.worker
def test_its_adapter_is_judged_as_it_was(old: Lab, home: Path) -> None:
    view = ended(home, old.evaluate(FINISHED))
    assert view.state == "finished", view.ending
    score = next(score for score in old.judgement(FINISHED)["scores"] if score["name"] == "loss")
    assert (score["before"], score["after"]) == pytest.approx((5.9734, 5.8326), abs=1e-3)


def _loss(view: RunView, step: int) -> float:
    return next(one.loss for one in view.steps if one.step == step)
