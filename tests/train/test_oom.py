"""Memory that runs out in the middle of a run: injected wherever it can, and for real under a limit. The run ends where it would have."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loralab.core.errors import classify
from loralab.core.events import Adjusted, Evaluated, Incident, Stepped, adjusted
from loralab.runs.run_folder import RunFolder
from loralab.sessions import job
from loralab.sessions.text import TextSession
from loralab.tasks import parse_plan
from loralab.tasks.text import TextPlan
from loralab.train import loop, oom
from tests.support import limited_worker, models
from tests.support.faults import CPU, PLACES, Fault, difference, in_backward, in_forward, in_optimizer, too_large, weights
from tests.support.tiers import grid

pytestmark = [pytest.mark.usefixtures("no_verdict"), pytest.mark.worker]

STEPS = 9  # of the runs trained here; 54 examples make one epoch of 7 updates, so the last one lies in another


@pytest.fixture
def train(tmp_path: Path, llama: Path, data: Path) -> Callable[..., RunFolder]:
    """Trains in this process: `train("name", dropout=0.1)` -> its folder; the same name again goes on with the same run."""

    def run(name: str, **settings: Any) -> RunFolder:
        chosen = models.plan(data, **{"max_steps": STEPS, "eval_every": 1, "micro_batch": 8, **settings})
        folder = models.run_folder(tmp_path / name, chosen, llama)
        now = parse_plan(adjusted(folder.job.plan, models.told(folder)))
        assert isinstance(now, TextPlan)
        loop.train(TextSession(now, folder), now, folder)
        return folder

    return run


# ---- a fault anywhere ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, llama: Path, data: Path) -> dict[float, RunFolder]:
    """The same run without a fault, without and with dropout."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_judge", lambda run: None)
        for dropout in (0.0, 0.3):
            chosen = models.plan(data, max_steps=STEPS, eval_every=1, micro_batch=8, dropout=dropout)
            found[dropout] = models.run_folder(tmp_path_factory.mktemp("undisturbed") / "run", chosen, llama)
            loop.train(TextSession(chosen, found[dropout]), chosen, found[dropout])
    return found


@pytest.mark.parametrize("at", grid([1, 7, STEPS], {7}))
@pytest.mark.parametrize("place", PLACES)
def test_a_fault_changes_nothing_in_what_is_learned(
    train: Any, undisturbed: dict[float, RunFolder], monkeypatch: pytest.MonkeyPatch, place: str, at: int
) -> None:
    fault = Fault(at + (place == "evaluation"))  # the first look is before the first update
    PLACES[place](fault, monkeypatch)
    folder, whole = train("run"), undisturbed[0.0]
    assert fault.raised == 1
    steps, expected = models.told(folder, Stepped), models.told(whole, Stepped)
    assert [step.step for step in steps] == list(range(1, STEPS + 1))
    assert [step.tokens for step in steps] == [step.tokens for step in expected]
    assert max(abs(a.loss - b.loss) for a, b in zip(steps, expected, strict=True)) <= 1e-5
    looks = [(look.step, look.n) for look in models.told(folder, Evaluated)]
    assert looks == [(look.step, look.n) for look in models.told(whole, Evaluated)]
    assert difference(folder, whole) <= 1e-5
    [incident] = models.told(folder, Incident)
    assert (incident.code, incident.step) == ("out_of_memory", at if place == "evaluation" else at - 1)
    assert CPU[:40] in incident.data["error"]
    assert [event.setting for event in models.told(folder, Adjusted)] == (["held_out_tokens_at_once"] if place == "evaluation" else [])


@pytest.mark.parametrize("place", ["optimiser", "evaluation"])
def test_dropout_draws_the_same_numbers_where_nothing_was_split(
    train: Any, undisturbed: dict[float, RunFolder], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    PLACES[place](Fault(4), monkeypatch)
    assert difference(train("run", dropout=0.3), undisturbed[0.3]) == 0


@pytest.mark.parametrize("place", ["forward", "backward"])
def test_one_example_done_again_draws_the_same_numbers(train: Any, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """A micro-batch of one cannot be split: it is done again in a thriftier mode, and what is dropped is the same."""
    whole = train("whole", dropout=0.3, micro_batch=1, max_steps=3)
    PLACES[place](Fault(11), monkeypatch)  # the third of the second update
    found = train("run", dropout=0.3, micro_batch=1, max_steps=3)
    assert [event.after for event in models.told(found, Adjusted)] == ["selective"]
    assert difference(found, whole) <= 1e-6


def test_the_update_in_work_is_dropped_whole(train: Any, undisturbed: dict[float, RunFolder], monkeypatch: pytest.MonkeyPatch) -> None:
    """The third of four micro-batches fails on its way back: what the first two and half of the third gave is not counted twice."""
    in_backward(Fault(7), monkeypatch)
    folder = train("run", micro_batch=2)
    assert len(models.told(folder, Incident)) == 1
    assert difference(folder, undisturbed[0.0]) <= 1e-5


# ---- more than once --------------------------------------------------------------------------------------------------------


def budgets(folder: RunFolder) -> list[tuple[int, int]]:
    return [(event.before, event.after) for event in models.told(folder, Adjusted) if event.setting == "token_budget"]


def test_the_second_time_soon_lowers_the_budget_by_a_fifth_of_what_failed(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = too_large(monkeypatch, 500)
    folder = train("run")
    first, second, *_ = models.told(folder, Incident)
    assert budgets(folder)[0] == (0, int(0.8 * second.data["cost"]))
    assert min(first.data["cost"], second.data["cost"]) > 500
    assert all(before > after for before, after in budgets(folder)[1:])
    assert max(sizes[-10:]) <= budgets(folder)[-1][1]
    assert [step.step for step in models.told(folder, Stepped)] == list(range(1, STEPS + 1))


def test_what_was_learned_about_memory_is_known_to_the_next_attempt(
    train: Any, undisturbed: dict[float, RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        too_large(patch, 500)
        patch.setattr(RunFolder, "stop_asked", property(lambda folder: len(models.told(folder, Stepped)) == 5))
        stopped = train("run")
    [*_, (_, learned)] = budgets(stopped)
    sizes = too_large(monkeypatch, 10**9)
    folder = train("run")
    assert max(sizes) <= learned
    assert difference(folder, undisturbed[0.0]) <= 1e-5


def test_a_second_time_much_later_is_a_new_first_time(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loralab.train.oom.SOON", 3)
    for apart, lowered in ((3, 1), (4, 0)):
        with monkeypatch.context() as patch:
            in_forward(Fault(2, 2 + 2 + apart), patch)  # the update done again is two calls more
            folder = train(f"apart-{apart}")
        assert [event.step for event in models.told(folder, Incident)] == [1, 1 + apart]
        assert len(budgets(folder)) == lowered


def test_looking_has_a_budget_of_its_own(train: Any, undisturbed: dict[float, RunFolder], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look fails as long as more than 150 tokens are looked at together: the training goes on as it was."""
    sizes = too_large(monkeypatch, 150, learning=False)
    folder = train("run")
    assert {event.setting for event in models.told(folder, Adjusted)} == {"held_out_tokens_at_once"}
    assert len(models.told(folder, Incident)) <= 3  # learned once, not at every look
    assert max(sizes[-5:]) <= 150
    looks, expected = models.told(folder, Evaluated), models.told(undisturbed[0.0], Evaluated)
    assert [look.n for look in looks] == [look.n for look in expected]
    assert max(abs(a.loss - b.loss) for a, b in zip(looks, expected, strict=True)) <= 1e-5
    assert difference(folder, undisturbed[0.0]) == 0


# ---- healthy runs and other errors -----------------------------------------------------------------------------------------


def test_a_healthy_run_tells_nothing(undisturbed: dict[float, RunFolder]) -> None:
    for folder in undisturbed.values():
        assert models.told(folder, Incident) == models.told(folder, Adjusted) == []
    assert max(tensor.abs().max().item() for name, tensor in weights(undisturbed[0.0]).items() if "lora_B" in name) > 1e-2


@pytest.mark.parametrize("place", PLACES)
def test_another_error_is_not_taken_for_a_lack_of_memory(train: Any, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    other = RuntimeError("mat1 and mat2 shapes cannot be multiplied (4x8 and 4x8); the memory format is contiguous")
    PLACES[place](Fault(3, error=other), monkeypatch)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        train("run")


# ---- for real --------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on a process's memory is Linux's")
def test_a_worker_that_really_gets_no_memory_goes_on(tmp_path: Path, llama: Path) -> None:
    """A real worker whose allocator fails on the whole micro-batch and not on parts of it."""
    data = models.uneven_file(tmp_path / "rows.jsonl", 300)
    settings = {"micro_batch": 256, "effective_batch": 256, "max_steps": 2, "learning_rate": 2e-3}
    folders, taken = [], 0
    for name in ("whole", "limited"):
        folder = models.run_folder(tmp_path / name, models.plan(data, **settings), llama)
        (folder.path / "job.json").write_text(folder.job.model_dump_json())
        command = [sys.executable, "-m", "tests.support.limited_worker", str(folder.path), str(int(0.6 * taken))]
        done = subprocess.run(command, env=os.environ | limited_worker.ENVIRONMENT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        given, taken = int(0.6 * taken), int(done.stdout.split()[-1])
        assert not given or taken <= given
        folders.append(folder)
    whole, limited = folders
    assert models.told(whole, Incident) == []
    assert "DefaultCPUAllocator: can't allocate memory" in models.told(limited, Incident)[0].data["error"]
    assert [step.tokens for step in models.told(limited, Stepped)] == [step.tokens for step in models.told(whole, Stepped)]
    assert difference(whole, limited) <= 1e-5


# ---- what is not ours, and what comes afterwards ---------------------------------------------------------------------------


def test_the_other_engine_is_left_alone(tmp_path: Path, llama: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TRL trains as TRL does: its lack of memory is told by the worker's last words, and nothing of its run is changed."""
    chosen = models.plan(data, max_steps=3, engine="trl")
    folder = models.run_folder(tmp_path / "run", chosen, llama)
    in_optimizer(Fault(2), monkeypatch)
    with pytest.raises(RuntimeError, match="can't allocate memory") as raised:
        job.run(folder)
    assert classify(raised.value).code == "out_of_memory"
    assert models.told(folder, Incident) == models.told(folder, Adjusted) == []


@pytest.mark.parametrize(("most", "answered"), [(40, True), (0, False)])
def test_the_verdict_asks_for_less_at_once_and_leaves_the_plan_alone(
    tmp_path: Path, llama: Path, data: Path, most: int, answered: bool
) -> None:
    chosen = models.plan(data, micro_batch=8)
    folder = models.run_folder(tmp_path / "run", chosen, llama)
    run = loop.prepare(TextSession(chosen, folder), chosen, folder)

    def judge() -> int:
        if max(batch.cost for batch in run.session.heldout()) > max(most, 1) * 5 or not most:
            raise RuntimeError(CPU)
        return 7

    assert oom.judged(run, judge) == (7 if answered else None)
    assert run.plan == chosen
    told = models.told(folder, Incident)
    assert told
    assert ("can be compared later" in told[-1].text) is not answered
