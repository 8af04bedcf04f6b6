"""One example that does not fit alone: saving after saving in its order, then a question, and the run goes on once it is answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from loralab.core.errors import Unavailable
from loralab.core.events import Adjusted, Evaluated, Incident, Saved, Stepped, adjusted
from loralab.core.records import Plan
from loralab.runs import runs
from loralab.runs.run_folder import RunFolder
from loralab.sessions.text import TextSession
from loralab.tasks import parse_plan
from loralab.tasks.full import FullPlan
from loralab.tasks.pretrain import PretrainPlan
from loralab.tasks.text import TextPlan
from loralab.train import loop, oom
from loralab.train.oom import next_saving
from loralab.train.session import Batch
from tests.conftest import ending
from tests.support import models
from tests.support.faults import CPU, Fault, difference, in_backward

pytestmark = [pytest.mark.usefixtures("no_verdict"), pytest.mark.worker]

CARD = [("recompute", "selective"), ("recompute", "full"), ("offload", True), ("optimizer", "adamw_8bit")]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The longest example comes twice an epoch at most."""
    return models.uneven_file(tmp_path_factory.mktemp("data") / "uneven.jsonl", 30)


def train(folder: RunFolder) -> dict[str, Any]:
    now = parse_plan(adjusted(folder.job.plan, models.told(folder)))
    assert isinstance(now, TextPlan)
    return loop.train(TextSession(now, folder), now, folder)


def opened(path: Path, data: Path, llama: Path, **settings: Any) -> RunFolder:
    return models.run_folder(path, models.plan(data, **{"max_steps": 6, "micro_batch": 2, "effective_batch": 4, **settings}), llama)


def climb(plan: Plan) -> list[tuple[str, Any]]:
    """Every rung to the end of the ladder."""
    found = []
    while rung := next_saving(plan):
        found.append(rung)
        plan = plan.model_copy(update=dict([rung]))
    return found


# ---- the order ---------------------------------------------------------------------------------------------------------------


def test_on_a_processor_there_is_recomputation_only() -> None:
    assert climb(TextPlan()) == climb(FullPlan()) == CARD[:2]
    assert climb(TextPlan(recompute="selective")) == CARD[1:2]
    assert climb(TextPlan(recompute="full")) == []


def test_on_a_card_there_is_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(oom, "find_spec", lambda name: None)
    assert climb(TextPlan()) == CARD[:3]
    monkeypatch.setattr(oom, "find_spec", lambda name: name == "bitsandbytes" or None)
    assert climb(TextPlan()) == CARD
    assert climb(TextPlan(offload=True, recompute="full")) == CARD[3:]
    assert ("optimizer", "adamw_8bit") not in climb(PretrainPlan())  # Muon has none


@pytest.mark.parametrize("faults", [1, 2])
def test_each_failure_of_one_example_climbs_one_rung_and_changes_nothing_else(
    tmp_path: Path, llama: Path, data: Path, monkeypatch: pytest.MonkeyPatch, faults: int
) -> None:
    settings = {"micro_batch": 1, "effective_batch": 2}
    train(whole := opened(tmp_path / "whole", data, llama, **settings))
    in_backward(Fault(4, *[6] * (faults - 1)), monkeypatch)  # the update is done again from its first example
    train(folder := opened(tmp_path / "run", data, llama, **settings))
    changes = [(event.setting, event.before, event.after) for event in models.told(folder, Adjusted)]
    assert changes == [("recompute", "none", "selective"), ("recompute", "selective", "full")][:faults]
    assert len(models.told(folder, Incident)) == faults
    assert difference(folder, whole) <= 1e-5


def test_a_saving_the_model_cannot_do_is_passed_over(tmp_path: Path, llama: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    healthy = TextSession.reconfigure

    def reconfigure(self: TextSession, plan: Plan) -> None:
        if getattr(plan, "recompute", "none") != "none":
            raise Unavailable("This model cannot forget and compute again.", "", code="no_recompute")
        healthy(self, plan)

    monkeypatch.setattr(TextSession, "reconfigure", reconfigure)
    in_backward(Fault(3), monkeypatch)
    result = train(folder := opened(tmp_path / "run", data, llama, micro_batch=1))
    assert result["code"] == "does_not_fit"
    assert models.told(folder, Adjusted) == []


# ---- the question ------------------------------------------------------------------------------------------------------------


def too_long(monkeypatch: pytest.MonkeyPatch, most: int, *, learning: bool = True) -> None:
    """No example of more than `most` tokens fits, however thrifty the mode."""
    healthy = TextSession.loss

    def loss(self: TextSession, batch: Batch) -> Any:
        if torch.is_grad_enabled() == learning and batch.largest > most:
            raise RuntimeError(CPU)
        return healthy(self, batch)

    monkeypatch.setattr(TextSession, "loss", loss)


def test_at_the_end_of_the_ladder_the_run_pauses_with_a_question_and_can_go_on(
    tmp_path: Path, llama: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(whole := opened(tmp_path / "whole", data, llama))
    first = models.told(whole, Stepped)[0].tokens
    folder = opened(tmp_path / "run", data, llama)
    with monkeypatch.context() as patch:
        longest = sorted({size for batches in TextSession(models.plan(data), folder).steps(0) for b in batches for size in b.costs})
        too_long(patch, longest[-2])
        result = train(folder)
    assert (result["outcome"], result["code"]) == ("stopped", "does_not_fit")
    assert f"({longest[-1]:,} tokens)" in result["what"]
    row = int(result["what"].split()[1])
    assert json.loads(data.read_text().splitlines()[row - 1])["completion"].count("green") == 11
    limit = int(result["todo"].split("“Longest example” to ")[1].split()[0].replace(",", ""))
    assert 16 <= limit <= longest[-2]
    done = len(models.told(folder, Stepped))
    assert 0 < done < 6
    assert [event.artifact.step for event in models.told(folder, Saved) if event.artifact.kind == "checkpoint"][-1] == done
    assert [(event.setting, event.after) for event in models.told(folder, Adjusted) if event.setting == "recompute"] == CARD[:2]
    final = train(folder)  # there is more memory now
    assert "outcome" not in final
    assert [step.step for step in models.told(folder, Stepped)] == [1, 2, 3, 4, 5, 6]
    assert models.told(folder, Stepped)[0].tokens == first
    assert difference(folder, whole) <= 1e-5


def test_the_limit_named_in_the_question_is_one_that_works(
    tmp_path: Path, llama: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    too_long(monkeypatch, 60)
    result = train(opened(tmp_path / "run", data, llama))
    limit = int(result["todo"].split("“Longest example” to ")[1].split()[0].replace(",", ""))
    result = train(folder := opened(tmp_path / "shorter", data, llama, max_length=limit))
    assert "outcome" not in result
    assert models.told(folder, Incident) == []


def test_a_held_out_example_that_does_not_fit_is_a_question_too(
    tmp_path: Path, llama: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first update: there is nothing to keep yet, and the next attempt begins anew."""
    with monkeypatch.context() as patch:
        too_long(patch, 20, learning=False)
        result = train(folder := opened(tmp_path / "run", data, llama))
    assert (result["outcome"], result["code"], result["steps"]) == ("stopped", "does_not_fit", 0)
    assert not list(folder.checkpoints.iterdir())
    assert "outcome" not in train(folder)
    assert len([look for look in models.told(folder, Evaluated) if look.split == "base"]) == 1


def test_an_optimiser_that_never_fits_is_a_question_and_no_weight_is_half_way(
    tmp_path: Path, llama: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fault, healthy = Fault(*range(3, 99)), torch._fused_adamw_  # pyright: ignore[reportPrivateImportUsage]
        patch.setattr(torch, "_fused_adamw_", lambda *a, **k: (fault(), healthy(*a, **k)))
        result = train(folder := opened(tmp_path / "run", data, llama))
    assert (result["outcome"], result["code"], result["steps"]) == ("stopped", "does_not_fit", 2)
    assert len(models.told(folder, Incident)) == oom.TRIES
    assert "outcome" not in train(folder)
    train(whole := opened(tmp_path / "whole", data, llama))
    assert difference(folder, whole) <= 1e-5


def test_a_real_worker_ends_with_the_question_in_its_last_words(
    home: Path, llama: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the process, the log and the view, as the app sees it."""
    monkeypatch.setenv("LORALAB_PLUGINS", "loralab.tasks:tests.support.cramped_task")
    plan = models.plan(data, max_steps=4).model_dump() | {"task": "cramped"}
    run = runs.start(home, "train", plan=plan, options={"model": str(llama)})
    words = ending(home, run)
    assert (words.outcome, words.code) == ("stopped", "does_not_fit")
    assert "does not fit" in words.what
    assert "Longest example" in words.todo
