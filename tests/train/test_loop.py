"""The one loop: accumulation, the learning-rate curve, safety copies, going on from a damaged one, and what is kept at the end."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from loralab.core.events import Evaluated, Noted, Saved, Stepped
from loralab.core.records import Plan
from loralab.datasets.profile import profile_dataset
from loralab.planning.duration import total_steps
from loralab.sessions import job
from loralab.sessions.text import TextSession
from loralab.train import checkpoint, gradient, loop
from loralab.train.checkpoint import Progress
from loralab.train.optim import adamw, factor, warmup_share
from tests.support import models

pytestmark = [pytest.mark.usefixtures("short_answers"), pytest.mark.worker]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory, llama: Path, data: Path) -> TextSession:
    """A session whose adapter is switched on: with the B matrices at zero half of the gradients would be zero, too."""
    chosen = models.plan(data)
    opened = TextSession(chosen, models.run_folder(tmp_path_factory.mktemp("run"), chosen, llama))
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in opened.state().values():
            parameter.normal_(std=0.05)
    return opened


# ---- accumulation ----------------------------------------------------------------------------------------------------------


def gradient_of(session: TextSession, rows: list[int], micro: int, max_grad_norm: float = 0.0) -> tuple[float, float, list[torch.Tensor]]:
    session.model.zero_grad()
    parts = [rows[i : i + micro] for i in range(0, len(rows), micro)]
    batches = [session.batch(session.train_rows, part, session.train_examples) for part in parts]
    loss, norm = gradient.backward(session, batches, max_grad_norm)
    return loss, norm, [p.grad.clone() for p in session.state().values() if p.grad is not None]


@pytest.mark.parametrize("micro", [1, 3, 5])
def test_accumulated_micro_batches_equal_one_big_batch(session: TextSession, micro: int) -> None:
    order = sorted(range(len(session.train_rows)), key=lambda i: sum(session.train_rows[i].learned))
    rows = order[:4] + order[-4:]  # a mean of means would be far off
    targets = [sum(session.train_rows[i].learned) for i in rows]
    assert max(targets) > 5 * min(targets)
    whole, whole_norm, expected = gradient_of(session, rows, len(rows))
    split, split_norm, found = gradient_of(session, rows, micro)
    assert split == pytest.approx(whole, abs=1e-6)
    assert split_norm == pytest.approx(whole_norm, abs=1e-6)
    assert max((a - b).abs().max().item() for a, b in zip(expected, found, strict=True)) <= 1e-6
    assert max(a.abs().max().item() for a in expected) > 1e-3


def test_clipping_shortens_the_update_and_tells_the_length_it_had(session: TextSession) -> None:
    _, free, _ = gradient_of(session, [0, 1, 2], 3)
    _, told, clipped = gradient_of(session, [0, 1, 2], 3, max_grad_norm=free / 10)
    assert told == pytest.approx(free, rel=1e-5)
    assert math.sqrt(sum(g.square().sum().item() for g in clipped)) == pytest.approx(free / 10, rel=1e-3)


# ---- the learning-rate curve -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "at_half", "at_end"), [("cosine", 0.5, 0.0), ("linear", 0.5, 0.0), ("constant", 1.0, 1.0), ("wsd", 1.0, 0.0)]
)
def test_schedules_begin_full_and_end_where_they_should(schedule: str, at_half: float, at_end: float) -> None:
    plan = Plan.model_validate({"schedule": schedule})
    assert factor(plan, 0.0, 0.0) == 1.0
    assert factor(plan, 0.5, 0.0) == pytest.approx(at_half)
    assert factor(plan, 1.0, 0.0) == pytest.approx(at_end)
    curve = [factor(plan, i / 200, 0.1) for i in range(201)]
    assert all(0 <= value <= 1 for value in curve)
    assert curve[:21] == sorted(curve[:21])
    assert curve[20:] == sorted(curve[20:], reverse=True)
    assert curve[10] == pytest.approx(0.5)
    assert curve[20] == 1.0


def test_wsd_falls_over_the_last_quarter_only() -> None:
    plan = Plan(schedule="wsd")
    assert factor(plan, 0.75, 0.0) == 1.0
    assert factor(plan, 0.875, 0.0) == pytest.approx(0.5)


@given(
    st.sampled_from(["cosine", "linear", "constant", "wsd"]),
    st.floats(0, 1),
    st.integers(1, 100_000),
    st.lists(st.floats(0, 1), min_size=2, max_size=6),
)
def test_no_update_is_larger_than_the_plan_says_and_a_warm_up_only_rises(schedule: str, warmup: float, total: int, at: list[float]) -> None:
    plan = Plan.model_validate({"schedule": schedule, "warmup": warmup})
    share = warmup_share(plan, total)
    rates = [factor(plan, fraction, share) for fraction in (0.0, *sorted(at))]
    assert all(0 <= rate <= 1 for rate in rates)
    if share:
        assert 0 < rates[0] <= 0.1
        rising = [rate for fraction, rate in zip((0.0, *sorted(at)), rates, strict=True) if fraction < share]
        assert rising == sorted(rising)


@pytest.mark.parametrize(
    "settings", [{"epochs": 1.0, "max_steps": 500}, {"epochs": 1.24}, {"epochs": 1.1}, {"epochs": 9.0, "max_steps": 5}]
)
def test_a_run_makes_as_many_updates_as_were_foretold(tmp_path: Path, llama: Path, data: Path, settings: dict[str, Any]) -> None:
    """What the plan page counts, and what the loop plans its warm-up and its evaluations for."""
    chosen = models.plan(data, **settings)
    run = loop.prepare(TextSession(chosen, folder := models.run_folder(tmp_path / "run", chosen, llama)), chosen, folder)
    profile = profile_dataset(data, llama)
    assert total_steps(chosen, profile) == run.total_steps
    assert run.total_steps <= (chosen.max_steps or 99)
    assert run.total_steps <= math.ceil(chosen.epochs * run.session.steps_per_epoch())


def test_short_runs_warm_up_for_five_updates_at_most_a_fifth(tmp_path: Path, llama: Path, data: Path) -> None:
    chosen = models.plan(data, max_steps=50, warmup=0.01, schedule="constant")
    run = loop.prepare(TextSession(chosen, folder := models.run_folder(tmp_path / "run", chosen, llama)), chosen, folder)
    rates = [run.rate_factor(step) for step in range(50)]
    assert 0 < rates[0] < 0.05
    assert rates[2] == pytest.approx(0.4)
    assert rates[5:] == [1.0] * 45


# ---- safety copies ---------------------------------------------------------------------------------------------------------


def _cut(raw: bytes) -> bytes:
    return raw[: len(raw) // 2]


def _flip(raw: bytes) -> bytes:
    """One bit of each of a hundred weights; torch.load would not mind."""
    weights = torch.full((100,), 3.0).numpy().tobytes()
    assert weights in raw
    return raw.replace(weights, bytes(b ^ 0x10 for b in weights), 1)


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut in half": _cut,
    "empty": lambda raw: b"",
    "other bytes": lambda raw: b"these are not the weights you look for" * 20,
    "zeros": lambda raw: bytes(len(raw)),
    "a pickle of a string": lambda raw: b"\x80\x04\x8c\x02hi.",
    "flipped bits": _flip,
}


def copies(folder: Path) -> list[Path]:
    """Three safety copies of a tiny state, of which two are kept."""
    weight = torch.nn.Parameter(torch.zeros(400))
    optimizer = adamw([weight], Plan())
    for step in (1, 2, 3):
        weight.data.fill_(step)
        checkpoint.save(folder, Progress(step=step), {"w": weight}, None, optimizer)
    return sorted(folder.glob("step-*.pt"))


def test_the_newest_two_copies_are_kept_and_the_newest_is_read(tmp_path: Path) -> None:
    assert [path.name for path in copies(tmp_path)] == ["step-2.pt", "step-3.pt"]
    saved = checkpoint.newest(tmp_path)
    assert saved is not None
    assert saved["progress"]["step"] == 3
    assert torch.equal(saved["state"]["w"], torch.full((400,), 3.0))


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_copy_is_passed_over_for_the_one_before(tmp_path: Path, damage: str) -> None:
    older, newer = copies(tmp_path)
    newer.write_bytes(DAMAGE[damage](newer.read_bytes()))
    saved = checkpoint.newest(tmp_path)
    assert saved is not None
    assert saved["progress"]["step"] == 2
    assert torch.equal(saved["state"]["w"], torch.full((400,), 2.0))
    assert list(tmp_path.glob("step-*.pt")) == [older]  # it will not be tried again


def test_a_copy_that_was_being_written_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "step-9.writing").write_bytes(b"half")
    assert checkpoint.newest(tmp_path) is None


@pytest.mark.usefixtures("no_verdict")
def test_a_run_goes_on_from_the_older_copy_to_the_same_adapter(tmp_path: Path, llama: Path, data: Path) -> None:
    """Copies at every update; the newest is damaged; what was lost is done again and comes out the same."""
    settings: dict[str, Any] = {"dropout": 0.1, "max_steps": 6, "eval_every": 2, "checkpoint_minutes": 1e-9}
    whole = models.run_folder(tmp_path / "whole", models.plan(data, **settings), llama)
    expected = job.run(whole)
    parts = models.run_folder(tmp_path / "parts", models.plan(data, **settings), llama)
    job.run(parts)
    (parts.checkpoints / "step-6.pt").write_bytes(b"")
    found = job.run(parts)
    assert [event.step for event in models.told(parts, Stepped)] == [1, 2, 3, 4, 5, 6, 6]
    assert "update 5 of 6" in " ".join(note.text for note in models.told(parts, Noted))
    assert models.losses(parts)[:6] == models.losses(whole)
    ours, theirs = (load_file(Path(result["adapter"]) / "adapter_model.safetensors") for result in (expected, found))
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


# ---- what is kept ----------------------------------------------------------------------------------------------------------


def test_an_adapter_worse_than_the_base_is_still_the_best_one_seen(
    tmp_path: Path, llama: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every look is worse than the one before: the least bad version is kept, not the last, and the verdict says what it is."""
    healthy = TextSession.loss

    def uphill(self: TextSession, batch: Any) -> tuple[torch.Tensor, int]:
        value, count = healthy(self, batch)
        return (-value if torch.is_grad_enabled() else value), count

    monkeypatch.setattr(TextSession, "loss", uphill)
    settings = {"schedule": "constant", "max_steps": 6, "eval_every": 1, "warmup": 0.0}
    folder = models.run_folder(tmp_path / "run", models.plan(data, **settings), llama)
    result = job.run(folder)
    base, *looks, final = models.told(folder, Evaluated)
    assert min(look.loss for look in looks) > base.loss
    best = min(looks, key=lambda look: look.loss)
    assert result["best_step"] == best.step == 1
    assert [look.step for look in looks if look.best] == [1]
    assert final.loss == pytest.approx(best.loss, rel=1e-4)


@pytest.mark.usefixtures("no_verdict")
def test_a_stop_before_the_first_update_leaves_a_run_that_can_go_on(tmp_path: Path, llama: Path, data: Path) -> None:
    chosen = models.plan(data, max_steps=3)
    folder = models.run_folder(tmp_path / "run", chosen, llama)
    (folder.path / "stop").touch()
    first = job.run(folder)
    assert (first["outcome"], first["steps"]) == ("stopped", 1)
    assert [event.artifact.kind for event in models.told(folder, Saved)] == ["checkpoint", "adapter"]
    (folder.path / "stop").unlink()
    assert job.run(folder)["steps"] == 3


@pytest.mark.usefixtures("no_verdict")
def test_the_result_counts_what_was_done(tmp_path: Path, llama: Path, data: Path) -> None:
    folder = models.run_folder(tmp_path / "run", models.plan(data, max_steps=4), llama)
    result = job.run(folder)
    steps = models.told(folder, Stepped)
    assert result["steps"] == len(steps) == 4
    assert result["tokens_per_second"] == pytest.approx(sum(step.tokens for step in steps) / result["seconds"])
    assert result["peak_memory_bytes"] >= max(step.memory_bytes for step in steps) > 0
    assert steps[-1].seconds_left == 0
