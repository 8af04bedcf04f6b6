"""The guard: each trouble is acted on within three updates and for the right reason, and healthy runs are left alone."""

from __future__ import annotations

import math
from collections import deque
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from loralab.core.errors import RunFailed
from loralab.core.events import Adjusted, Evaluated, Incident, Noted, Saved, Stepped
from loralab.core.records import Plan
from loralab.sessions import job
from loralab.sessions.lora import attach_adapter, save_adapter
from loralab.sessions.text import TextSession
from loralab.tasks.text import TextPlan
from loralab.train import checkpoint, find_bad_rows, gradient, guard, loop, recovery
from loralab.train.checkpoint import Progress
from loralab.train.optim import adamw
from loralab.train.state import Run
from tests.support import healthy, models, troubles
from tests.support.tiers import grid

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.usefixtures("short_answers"),
    pytest.mark.worker,
]  # transformers' own warnings
SLOW = {"every correction the wrong way", "learning rate x100, one example at a time"}  # benchmarks/guard.py runs them, too

DAILY = [case for case in troubles.CASES if "one example at a time" not in case.name and not case.name.startswith(("three NaN", "every"))]


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return troubles.folders(tmp_path_factory.mktemp("where"))


# ---- troubles ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", grid([case for case in troubles.CASES if case.name not in SLOW], DAILY), ids=lambda case: case.name)
def test_each_trouble_is_acted_on_at_once_and_for_what_it_is(case: troubles.Case, tmp_path: Path, where: dict[str, Path]) -> None:
    found = troubles.suffer(case, tmp_path / "run", where)
    assert set(found.codes) == case.incidents
    assert set(found.changed) == case.changed
    assert found.ended == case.ends
    assert found.finite
    if case.incidents or case.ends:
        assert found.delay is not None
        assert found.delay < guard.PATIENCE
    if not case.ends:
        assert found.result["steps"] == case.settings.get("max_steps", 24)
        assert found.best < found.base
        assert all(math.isfinite(look.loss) for look in models.told(found.folder, Evaluated))


@pytest.mark.parametrize("size", [1, 8])
def test_a_bad_row_is_named_and_the_others_lose_nothing(size: int, tmp_path: Path, where: dict[str, Path]) -> None:
    """Two epochs: the second does not meet the row again, and its update is made of the seven others."""
    settings: dict[str, Any] = {"effective_batch": size, "micro_batch": size, "epochs": 2.0}
    with troubles.nan_row():
        found = troubles.train(tmp_path / "run", where["tiny"], where["uneven"], **settings)
    broken, bad = found.incidents
    assert troubles.ROW in broken.data["rows"]
    assert (bad.text, bad.data["rows"]) == ("Example 17 gives a loss that is not a number; left out from here on.", [17])
    losses = models.losses(found.folder)
    assert sum(not math.isfinite(loss) for loss in losses) == 1
    assert found.result["steps"] == len(losses) >= 12


def test_looking_into_a_bad_update_changes_nothing_but_itself(tmp_path: Path, where: dict[str, Path]) -> None:
    """With dropout: the updates before are the same with and without the guard's replay, and so are random numbers after it."""
    settings: dict[str, Any] = {"dropout": 0.3, "max_steps": 8, "schedule": "constant"}
    session = _session(tmp_path / "s", where, **settings)
    batch = session.batch(session.train_rows, range(6), session.train_examples)
    before, weights = torch.get_rng_state(), {name: tensor.clone() for name, tensor in session.state().items()}
    assert find_bad_rows.broken_rows(session, [batch]) == []
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in session.state().items())
    assert all(p.grad is None for p in session.model.parameters())


def test_only_the_named_rows_are_taken_out_of_a_batch(tmp_path: Path, where: dict[str, Path]) -> None:
    session = _session(tmp_path / "s", where)
    batch = session.batch(session.train_rows, range(7), session.train_examples)
    kept = find_bad_rows.without(session, [batch], {batch.rows[2], batch.rows[6]})
    assert sorted(row for part in kept for row in part.rows) == sorted(set(batch.rows) - {batch.rows[2], batch.rows[6]})
    total = sum(session.loss(part)[0].item() for part in kept)
    alone = sum(
        session.loss(part)[0].item() for part in find_bad_rows.alone(session, [batch]) if part.rows[0] not in (batch.rows[2], batch.rows[6])
    )
    assert total == pytest.approx(alone, rel=1e-5)


def test_a_broken_held_out_row_is_left_out_of_looks_and_verdict(tmp_path: Path, where: dict[str, Path]) -> None:
    held = _session(tmp_path / "s", where).heldout_examples[1].row
    with troubles.nan_row(held):
        found = troubles.train(tmp_path / "run", where["tiny"], where["uneven"], max_steps=6, eval_every=3)
    (incident,) = found.incidents
    assert incident.text == f"Example {held} gives a loss that is not a number; no longer among the held-out ones."
    assert found.best < found.base
    final = models.told(found.folder, Evaluated)[-1]
    assert final.split == "final"
    assert math.isfinite(final.loss)


@pytest.mark.nightly
def test_the_third_time_is_the_last_and_the_end_says_why(tmp_path: Path, where: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Corrections that go the wrong way, and a guard whose gentler settings are not gentle: nothing helps."""
    monkeypatch.setattr(TextSession, "safe_rate", 0.1)
    monkeypatch.setattr(recovery, "GENTLER", 1.0)
    settings = troubles.STARTER_RUN | {"learning_rate": 0.1, "schedule": "constant", "warmup": 0.0, "max_steps": 60, "eval_every": 30}
    with troubles.uphill():
        found = troubles.train(tmp_path / "run", where["starter"], where["poems"], **settings, precision="bf16")
    assert found.codes == ["diverged"] * 4
    assert [event.setting for event in models.told(found.folder, Adjusted)] == [
        "learning_rate",
        "learning_rate",
        "warmup",
        "learning_rate",
        "precision",
    ]
    assert (found.result["outcome"], found.ended) == ("failed", "diverged")
    assert found.result["what"].endswith("No version was better yet than the model was before.")
    assert "learning rate" in found.result["todo"]
    assert found.finite


# ---- what is gone back to ----------------------------------------------------------------------------------------------------


def test_going_back_is_to_an_earlier_adapter_and_its_notes_exactly(tmp_path: Path, where: dict[str, Path]) -> None:
    run = _run(tmp_path, where, max_steps=40)
    seen: dict[int, tuple[list[torch.Tensor], torch.Tensor]] = {}
    steps = run.session.steps(0)
    for _ in range(7):
        seen[run.progress.step] = _copy(run)
        loop._update(run, next(steps))
    with torch.no_grad():
        troubles.break_adapter(run)
    at = recovery.roll_back(run)
    assert at == 0  # the copy taken at update 5 has not proved itself for five updates yet
    assert all(torch.equal(a, b) for a, b in zip(_copy(run)[0], seen[at][0], strict=True))
    for _ in range(12):
        seen[run.progress.step] = _copy(run)
        run.optimizer.zero_grad()
        loop._update(run, next(steps, None) or next(steps := run.session.steps(1)))
    run.watch.back = (-1, -1)
    at = recovery.roll_back(run)
    assert 7 <= at <= run.progress.step - 5
    weights, moment = _copy(run)
    assert all(torch.equal(a, b) for a, b in zip(weights, seen[at][0], strict=True))
    assert torch.equal(moment, seen[at][1])


def _copy(run: Run) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Weights, and one of the optimiser's notes."""
    state = run.optimizer.parts[0].state
    moments = [notes["exp_avg"] for notes in state.values()]
    return [p.detach().clone() for p in run.session.state().values()], moments[-1].clone() if moments else torch.zeros(0)


# ---- settings change under a run ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("setting", "value"), [("precision", "bf16"), ("attention", "eager")])
def test_another_precision_or_attention_reopens_the_model_and_keeps_what_was_learned(
    setting: str, value: str, tmp_path: Path, where: dict[str, Path]
) -> None:
    session = _session(tmp_path / "s", where)
    with torch.no_grad():
        for parameter in session.state().values():
            parameter.normal_(std=0.05)
    before, old = {name: tensor.clone() for name, tensor in session.state().items()}, session.model
    loss = gradient.backward(session, [session.batch(session.train_rows, range(4), session.train_examples)], 0.0)[0]
    random = torch.get_rng_state()
    session.reconfigure(session.plan.model_copy(update={setting: value}))
    assert torch.equal(torch.get_rng_state(), random)
    assert session.model is not old
    assert session.model.training
    assert {p.dtype for p in session.model.parameters() if not p.requires_grad} == {torch.bfloat16 if value == "bf16" else torch.float32}
    assert session.causal_model().config._attn_implementation == session.plan.attention
    assert all(torch.equal(tensor, before[name]) for name, tensor in session.state().items())
    again = gradient.backward(session, [session.batch(session.train_rows, range(4), session.train_examples)], 0.0)[0]
    assert again == pytest.approx(loss, abs=0.02 if value == "bf16" else 1e-5)


# ---- nothing broken is written -----------------------------------------------------------------------------------------------


def test_what_is_not_finite_is_never_written(tmp_path: Path) -> None:
    weight = torch.nn.Parameter(torch.ones(4))
    optimizer = adamw([weight], Plan())
    checkpoint.save(tmp_path, Progress(step=1), {"w": weight}, None, optimizer)
    weight.data[2] = math.inf
    with pytest.raises(RunFailed, match="not finite"):
        checkpoint.save(tmp_path, Progress(step=2), {"w": weight}, None, optimizer)
    assert [path.name for path in tmp_path.glob("step-*")] == ["step-1.pt"]

    base = models.model_folder(tmp_path / "base")
    model: Any = attach_adapter(models.model("llama"), TextPlan())
    save_adapter(model, tmp_path / "adapter", base, 0)
    good = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    with torch.no_grad():
        next(p for p in model.parameters() if p.requires_grad).view(-1)[0] = math.nan
    with pytest.raises(RunFailed, match="adapter was not written"):
        save_adapter(model, tmp_path / "adapter", base, 0)
    kept = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert all(torch.equal(tensor, kept[name]) for name, tensor in good.items())


# ---- going on after an interruption ------------------------------------------------------------------------------------------


def test_a_resumed_run_still_knows_what_was_left_out_and_made_gentler(tmp_path: Path, where: dict[str, Path]) -> None:
    chosen = models.plan(where["uneven"], effective_batch=1, micro_batch=1, epochs=2.0, schedule="constant", warmup=0.0)
    folder = models.run_folder(tmp_path / "run", chosen, where["tiny"])
    gentler = troubles.before_update(30, lambda run: run.change("a test", learning_rate=1e-3))
    stopped = troubles.before_update(40, lambda run: (run.folder.path / "stop").touch())
    with troubles.nan_row(), gentler, stopped:
        assert job.run(folder)["outcome"] == "stopped"
        (folder.path / "stop").unlink()
        again = models.run_folder(tmp_path / "run", chosen, where["tiny"])
        job.run(again)
    assert [event.code for event in models.told(again, Incident)] == ["non_finite", "bad_row"]
    assert {step.learning_rate for step in models.told(again, Stepped) if step.step > 30} == {1e-3}
    saved = checkpoint.newest(again.checkpoints)
    assert saved is not None
    assert saved["progress"]["left_out"] == [troubles.ROW]


# ---- healthy runs ------------------------------------------------------------------------------------------------------------

QUICK = [*[case for case in healthy.HEALTHY if case.base != "starter"][3::3], healthy.HEALTHY[6]]


@pytest.mark.parametrize("case", grid(QUICK, QUICK[:2]), ids=lambda case: case.name)
def test_a_healthy_run_is_left_alone(case: healthy.Healthy, tmp_path: Path) -> None:
    """The gibberish one is suspected, and the held-out examples say that all is well; benchmarks/guard.py runs all twenty."""
    found, asked = healthy.live(case, tmp_path)
    assert (found.codes, found.changed, found.ended) == ([], {}, "")
    assert not any("Went back" in note.text for note in models.told(found.folder, Noted))
    assert found.best < found.base
    assert (asked > 0) == ("gibberish" in case.name)
    assert any(event.artifact.kind == "adapter" for event in models.told(found.folder, Saved))


def test_a_long_gradient_is_a_sign_only_with_a_history_and_far_outside_it() -> None:
    steady = deque([math.log(1.0 + 0.1 * math.sin(i)) for i in range(30)])
    assert guard._far_out(steady, 20.0)
    assert not guard._far_out(steady, 1.5)
    assert not guard._far_out(deque(list(steady)[:10]), 20.0)
    wild = deque([math.log(10.0 ** (i % 5 - 3)) for i in range(30)])  # as near the end of a run learned by heart
    assert not guard._far_out(wild, 10.0)


# ---- parts -------------------------------------------------------------------------------------------------------------------


def _session(path: Path, where: dict[str, Path], **settings: Any) -> TextSession:
    chosen = models.plan(where["uneven"], **settings)
    return TextSession(chosen, models.run_folder(path, chosen, where["tiny"]))


def _run(path: Path, where: dict[str, Path], **settings: Any) -> Run:
    session = _session(path / "run", where, **settings)
    return loop.prepare(session, session.plan, session.folder)
