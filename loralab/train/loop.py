"""Owns the one training loop. What is trained, on what, and how it is judged stands behind the Session.

Invariants: the gradient of an update is the mean over all its targets, however it was split into micro-batches; a stop, a crash or
a resume changes nothing in the order of the data; the adapter that is kept is the best one seen on the held-out examples.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from loralab.core.errors import Problem
from loralab.core.events import Adjusted, Evaluated, Noted, Saved, Stepped
from loralab.core.records import Artifact, Plan
from loralab.evaluations.shared.verdict import tell
from loralab.runs.run_folder import RunFolder
from loralab.train import checkpoint, checkpointing, guard, memory, oom, pause, windows_vram
from loralab.train.checkpoint import Progress
from loralab.train.clock import Clock
from loralab.train.optim import factor
from loralab.train.probe import probe
from loralab.train.recovery import Watch
from loralab.train.session import Batch, Session

RELEARNED = frozenset({"learning_rate", "precision", "attention", "optimizer"})  # settings whose change makes a new optimiser necessary

ASKED = Problem(code="", what="Stopped as you asked. It can go on from here.")


@dataclass
class Run:
    """The moving parts of one training, passed between the steps below."""

    session: Session
    plan: Plan  # as it now is; only `change` replaces it
    folder: RunFolder
    optimizer: Any
    progress: Progress
    total_steps: int
    eval_every: int
    best: dict[str, torch.Tensor] | None = None
    started: float = 0.0  # by its clock, when it began, had it never been interrupted
    why: str = ""  # reason for ending before the last step
    loaded: int = field(default_factory=memory.used)  # bytes held before the first update: the model, torch and the examples
    room: oom.Room = field(default_factory=oom.Room)
    watch: Watch = field(default_factory=Watch)
    reason: Problem = ASKED  # for having stopped, in words
    clock: Clock = field(default_factory=Clock)
    copies: checkpointing.Copies = field(default_factory=checkpointing.Copies)
    sensors: pause.Sensors = field(default_factory=pause.Sensors)


def train(session: Session, plan: Plan, folder: RunFolder) -> dict[str, Any]:
    """Train to the end of the plan, a stop request or early stopping; returns the run's result for its Ended event."""
    windows_vram.bound_card()
    try:
        run = prepare(session, plan, folder)
        while run.progress.step < run.total_steps and not run.why:
            for micro_batches in session.steps(run.progress.epoch, run.progress.step_in_epoch):
                if _update(run, guard.usable(run, micro_batches)):
                    look_and_save(run)
                if run.why or run.progress.step >= run.total_steps:
                    break
            else:
                run.progress.epoch += 1
                run.progress.step_in_epoch = 0
    except oom.DoesNotFit as asked:
        run = _pause(asked.run, asked.problem)
    return finish(run)


def prepare(session: Session, plan: Plan, folder: RunFolder) -> Run:
    """A run where it was left, or at its beginning with a first look at the held-out examples."""
    per_epoch = session.steps_per_epoch()
    total = plan.max_steps or max(1, math.ceil(per_epoch * plan.epochs))
    every = plan.eval_every or max(1, math.ceil(total / 10))
    run = Run(session, plan, folder, session.optimizer(), Progress(), total, every)
    saved = checkpointing.newest(folder)
    if saved:
        run.progress = Progress(**saved["progress"])
        run.best, run.why = saved["best"], run.progress.ended
        session.load_state(saved["state"])
        run.optimizer.load_state_dict(saved["optimizer"])
        run.optimizer.set_base(plan.learning_rate)  # it may have been lowered since
        checkpoint.restore_random_state(saved["rng"])
        folder.emit(Noted(step=run.progress.step, text=f"Went on from update {run.progress.step} of {total}."))
    else:
        folder.emit(Noted(text="", phase="looking at the held-out examples before training"))
        run.progress.base_loss, rows = guard.look(run, evaluate, change)
        folder.emit(Evaluated(split="base", loss=run.progress.base_loss, n=rows))
        probe(run, change)
    guard.begin(run)
    run.copies.last = run.clock.now()
    run.started = run.clock.now() - run.progress.seconds
    return run


def _update(run: Run, micro_batches: Sequence[Batch]) -> bool:
    """One optimiser update over one effective batch; False where there is nothing in it to learn from."""
    if not micro_batches:
        return False
    begun = time.monotonic()
    rate = rate_factor(run, run.progress.step)
    run.optimizer.set_factor(rate)
    loss, norm, _ = oom.learn(run, micro_batches, backward, change)
    if guard.is_sound(run, micro_batches, loss, norm, evaluate, change):
        oom.step(run, micro_batches, change)
    run.optimizer.zero_grad()
    tokens = sum(batch.n_tokens for batch in micro_batches)
    seconds = count_update(run, loss=loss, norm=norm, rate=rate, tokens=tokens, seconds=time.monotonic() - begun)
    windows_vram.watch(run, seconds, micro_batches, change)
    return True


def change(run: Run, reason: str, **settings: Any) -> None:
    """Go on with other settings: told as Adjusted events, so that a resume finds them again, and taken up by the session."""
    before, after = run.plan, run.plan.model_copy(update=settings)
    run.session.reconfigure(after)
    run.plan = after
    for name, value in settings.items():
        run.folder.emit(Adjusted(step=run.progress.step, setting=name, before=getattr(before, name), after=value, reason=reason))
    if RELEARNED & settings.keys():
        notes, run.optimizer = run.optimizer.state_dict(), run.session.optimizer()
        run.optimizer.load_state_dict(notes)
        run.optimizer.set_base(run.plan.learning_rate)
        run.optimizer.set_factor(rate_factor(run, run.progress.step))


def rate_factor(run: Run, step: int) -> float:
    """Share (0..1) of the plan's learning rate for the update after `step` updates; under a time limit it falls with the clock."""
    fraction = step / run.total_steps
    if run.plan.max_minutes:
        fraction = max(fraction, (run.clock.now() - run.started) / (60 * run.plan.max_minutes))
    return factor(run.plan, min(1.0, fraction), _warmup(run.plan, run.total_steps))


def count_update(run: Run, *, loss: float, norm: float, rate: float, tokens: int, seconds: float) -> float:
    """Count an update that was made (or left out) and tell its numbers; `seconds` is what it took. Returns those it was computed in."""
    progress = run.progress
    seconds = checkpointing.computed(run, seconds)
    progress.step += 1
    progress.step_in_epoch += 1
    progress.tokens += tokens
    progress.seconds = run.clock.now() - run.started
    progress.peak_memory = max(progress.peak_memory, memory.peak())
    run.folder.emit(
        Stepped(
            step=progress.step,
            loss=loss,
            grad_norm=norm,
            learning_rate=run.plan.learning_rate * rate,
            tokens=tokens,
            tokens_per_second=tokens / max(seconds, 1e-9),
            memory_bytes=memory.used(),
            total_steps=run.total_steps,
            epoch=progress.epoch + progress.step_in_epoch / run.session.steps_per_epoch(),
            seconds_left=_seconds_left(run),
        )
    )
    return seconds


def backward(session: Session, micro_batches: Iterable[Batch], max_grad_norm: float) -> tuple[float, float, int]:
    """Accumulate the gradient of one effective batch: (mean loss, gradient norm before clipping, number of targets).

    Each micro-batch adds the gradient of its summed loss; dividing once by the whole count makes any split equal to one big batch.
    """
    total, count = 0.0, 0
    for batch in micro_batches:
        loss, n = session.loss(batch)
        loss.backward()
        total += loss.item()
        count += n
    parameters = [p for p in session.model.parameters() if p.grad is not None]
    for parameter in parameters:
        parameter.grad.div_(max(count, 1))  # type: ignore[union-attr]
    norm = torch.nn.utils.clip_grad_norm_(parameters, max_grad_norm or math.inf)
    return total / max(count, 1), norm.item(), count


@torch.no_grad()
def evaluate(run: Run) -> tuple[float, int]:
    """Mean held-out loss per target and the number of examples."""
    run.session.model.eval()
    total, count, rows = 0.0, 0, 0
    for batch in run.session.heldout():
        loss, n = oom.look(run, batch)
        total, count, rows = total + loss, count + n, rows + len(batch.rows)
        if run.folder.stop_asked and run.progress.step == 0:
            break
    run.session.model.train()
    return total / max(count, 1), rows


def look_and_save(run: Run) -> None:
    """After an update: look at the held-out examples, stop early, wait where that was asked for, save, answer a stop request."""
    plan, progress = run.plan, run.progress
    checkpointing.wait_for_room(run)
    last = progress.step >= run.total_steps
    out_of_time = bool(plan.max_minutes) and run.clock.now() - run.started >= 60 * plan.max_minutes
    looks = progress.step % run.eval_every == 0 or last or out_of_time
    if looks:
        _look(run)
    if out_of_time and not last:
        run.why = run.why or "the time limit was reached"
    progress.ended = run.why if run.why != "failed" else ""
    if not run.why:
        pause.wait(run)
    if run.folder.stop_asked:
        run.why = "stopped"
    if run.why == "stopped":
        checkpointing.save_to_stop(run)
    elif checkpointing.due(run, looked=looks):
        checkpointing.save(run)


def _pause(run: Run, question: Problem) -> Run:
    """Stop for an answer: a safety copy as of the last whole update, unless there is nothing yet or weights changed since."""
    if not math.isnan(run.progress.base_loss) and not run.optimizer.done:
        run.optimizer.zero_grad()
        checkpointing.save(run)
    run.why, run.reason = "stopped", question
    return run


def _look(run: Run) -> None:
    loss, count = guard.look(run, evaluate, change)
    progress = run.progress
    better = loss < progress.best_loss
    run.folder.emit(Evaluated(step=progress.step, loss=loss, n=count, best=better))
    if better:
        progress.best_loss, progress.best_step, progress.looks_without_gain = loss, progress.step, 0
        run.best = {name: tensor.detach().clone() for name, tensor in run.session.state().items()}
        return
    progress.looks_without_gain += 1
    if run.plan.patience and progress.looks_without_gain >= run.plan.patience:
        run.why = f"the held-out loss has not improved for {progress.looks_without_gain} looks"


def finish(run: Run) -> dict[str, Any]:
    """Keep the best, judge it, write it; or, when asked to stop, keep what there is so that the run can go on later."""
    progress, folder = run.progress, run.folder
    if run.why and run.why not in ("stopped", "failed"):
        folder.emit(Noted(step=progress.step, text=f"Ended early: {run.why}. The best version, from update {progress.best_step}, is kept."))
    if run.best is not None:
        run.session.load_state(run.best)
    folder.emit(Noted(step=progress.step, text="", phase="saving"))
    artifact = run.session.save(folder.artifacts / "adapter")
    folder.emit(Saved(step=progress.step, artifact=artifact))
    result: dict[str, Any] = {
        "steps": progress.step,
        "seconds": progress.seconds,
        "tokens_per_second": progress.tokens / max(progress.seconds, 1e-9),
        "peak_memory_bytes": max(progress.peak_memory, memory.peak()),
        "loaded_memory_bytes": run.loaded,
        "best_step": progress.best_step,
        "adapter": artifact.path,
    }
    if run.why in ("stopped", "failed"):
        return result | {"outcome": run.why} | run.reason.model_dump(include={"what", "todo", "code"})
    _judge(run)
    return result


def _judge(run: Run) -> None:
    """The verdict on what is kept, with what it was measured on."""
    step, folder = run.progress.step, run.folder
    run.session.model.eval()

    def note(text: str, fraction: float | None) -> None:
        folder.emit(Noted(step=step, text="", phase=text, fraction=fraction))

    found = oom.judged(run, lambda: run.session.verdict(note, lambda: folder.stop_asked))
    if found is not None:
        tell(found, folder, step, run.progress.best_loss)


def _warmup(plan: Plan, total_steps: int) -> float:
    """Share of the run that warms up: the plan's, but at least five updates where there are that many to spare."""
    return max(plan.warmup, min(5 / total_steps, 0.2)) if plan.warmup else 0.0


def _seconds_left(run: Run) -> float:
    progress = run.progress
    per_step = progress.seconds / max(progress.step, 1)  # looks and checkpoints included, as they will be again
    left = per_step * (run.total_steps - progress.step)
    return min(left, 60 * run.plan.max_minutes - progress.seconds) if run.plan.max_minutes else left


def artifact_of(path: Path, kind: str, step: int, digest: str) -> Artifact:
    """An Artifact record of a folder, with its size."""
    return Artifact(
        kind=kind, path=str(path), step=step, digest=digest, bytes=sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
    )
