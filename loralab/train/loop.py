"""The one training loop. What is trained, on what, and how it is judged stands behind the Session.

Invariants: the gradient of an update is the mean over all its targets, however it was split into micro-batches; a stop, a crash or
a resume changes nothing in the order of the data; what is kept is the best version seen on the held-out examples.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loralab.core.errors import Problem
from loralab.core.events import Evaluated, Noted, Saved, Stepped
from loralab.core.judgement import tell
from loralab.core.records import Artifact, Plan
from loralab.core.words import count
from loralab.runs.run_folder import RunFolder
from loralab.train import checkpoint, checkpointing, first_look, guard, memory, oom, pause, preview, windows_vram
from loralab.train.checkpoint import Progress
from loralab.train.data_parallel import Leader
from loralab.train.probe import probe
from loralab.train.session import Batch, Growing, Session
from loralab.train.state import ASKED, Run


def train(session: Session, plan: Plan, folder: RunFolder, group: Leader | None = None) -> dict[str, Any]:
    """Train to the end of the plan, a stop request or early stopping; returns the run's result for its Ended event.

    `group`: the processes that learn with this one. What they do not compute (looks, guard, safety copies, verdict) is done here.
    """
    windows_vram.bound_card()
    try:
        run = prepare(session, plan, folder, group)
        while run.progress.step < run.total_steps and not run.why:
            for micro_batches in session.steps(run.progress.epoch, run.progress.step_in_epoch):
                if _update(run, guard.usable(run, micro_batches)):
                    evaluate_and_save(run)
                if run.why or run.progress.step >= run.total_steps:
                    break
            else:
                run.progress.epoch += 1
                run.progress.step_in_epoch = 0
    except oom.DoesNotFit as asked:
        run = _pause(asked.run, asked.problem)
    if group is not None:
        group.dismiss()
    return finish(run)


def prepare(session: Session, plan: Plan, folder: RunFolder, group: Leader | None = None) -> Run:
    """A run where it was left, or at its beginning with a first evaluation."""
    total = plan.updates(session.steps_per_epoch())
    every = plan.eval_every or max(1, math.ceil(total / 10))
    run = Run(session, plan, folder, session.optimizer(), Progress(), total, every, group=group)
    saved = checkpointing.newest(folder)
    if saved:
        run.progress = Progress(**saved["progress"])
        run.best = saved["best"]
        run.end(run.progress.ended)
        session.load_state(saved["state"])
        run.optimizer.load_state_dict(saved["optimizer"])
        run.optimizer.set_base(plan.learning_rate)  # it may have been lowered since
        checkpoint.restore_random_state(saved["rng"])
        folder.emit(Noted(step=run.progress.step, text=f"Went on from update {run.progress.step} of {total}.", code="resumed"))
    else:
        _look_first(run)
        probe(run)
    guard.begin(run)
    run.checkpoints.last = run.clock.now()
    run.started = run.clock.now() - run.progress.seconds
    return run


def _look_first(run: Run) -> None:
    """Held-out loss and first answers before any update; those of an earlier run that began from the very same are taken as they are."""
    folder, look = run.folder, first_look.known(run)
    if look is None:
        folder.emit(Noted(text="", phase="looking at the held-out examples before training"))
        begun = time.monotonic()
        loss, rows = guard.evaluate(run)
        look = first_look.FirstLook(loss=loss, rows=rows, seconds=time.monotonic() - begun)
        run.progress.base_loss = loss
        folder.emit(Evaluated(split="base", loss=loss, n=rows))
        samples, whole = preview.begin(run, look.seconds, rows)
        if whole:
            first_look.keep(run, look.model_copy(update={"samples": samples}))
        return
    folder.emit(Noted(text="How it did before training is known from an earlier run that began with the same."))
    run.progress.base_loss = look.loss
    folder.emit(Evaluated(split="base", loss=look.loss, n=look.rows))
    preview.known(run, look.samples)


def _update(run: Run, micro_batches: Sequence[Batch]) -> bool:
    """One optimiser update over one effective batch; False where there is nothing in it to learn from."""
    if not micro_batches:
        return False
    begun = time.monotonic()
    if isinstance(run.session, Growing):
        run.session.grow(run.progress.step, run.fraction(run.progress.step), run.total_steps, run.optimizer)
    rate = run.rate_factor(run.progress.step)
    run.optimizer.set_factor(rate)
    loss, norm = oom.learn(run, micro_batches)
    if guard.is_update_ok(run, micro_batches, loss, norm):
        oom.step(run, micro_batches)
    run.optimizer.zero_grad()
    units = sum(batch.n_units for batch in micro_batches)
    seconds = count_update(run, loss=loss, norm=norm, rate=rate, units=units, seconds=time.monotonic() - begun)
    windows_vram.watch(run, seconds, micro_batches)
    return True


def count_update(run: Run, *, loss: float, norm: float, rate: float, units: int, seconds: float) -> float:
    """Count an update that was made (or left out) and tell its numbers; `seconds` is what it took. Returns those it was computed in."""
    progress = run.progress
    seconds = checkpointing.computed(run, seconds)
    progress.step += 1
    progress.step_in_epoch += 1
    progress.tokens += units
    progress.seconds = run.clock.now() - run.started
    progress.peak_memory = max(progress.peak_memory, memory.peak())
    run.folder.emit(
        Stepped(
            step=progress.step,
            loss=loss,
            grad_norm=norm,
            learning_rate=run.plan.learning_rate * rate,
            tokens=units,
            tokens_per_second=units / max(seconds, 1e-9),
            memory_bytes=memory.used(),
            total_steps=run.total_steps,
            epoch=progress.epoch + progress.step_in_epoch / run.session.steps_per_epoch(),
            seconds_left=_seconds_left(run),
        )
    )
    return seconds


def evaluate_and_save(run: Run) -> None:
    """After an update: evaluate, stop early, wait where that was asked for, save, answer a stop request."""
    plan, progress = run.plan, run.progress
    checkpointing.wait_for_room(run)
    last = progress.step >= run.total_steps
    out_of_time = bool(plan.max_minutes) and run.clock.now() - run.started >= 60 * plan.max_minutes
    evaluates = progress.step % run.eval_every == 0 or last or out_of_time
    if evaluates:
        _evaluate(run)
    if out_of_time and not last:
        run.end("the time limit was reached")
    progress.ended = run.why if run.why != "failed" else ""
    if not run.why and not last and preview.due(run):
        preview.ask(run)
    if not run.why:
        pause.wait(run)
    if run.folder.stop_asked and not run.why:
        run.end("stopped", checkpointing.save_to_stop(run) or ASKED)
    elif checkpointing.due(run, evaluated=evaluates):
        checkpointing.save(run)


def _pause(run: Run, question: Problem) -> Run:
    """Stop for an answer: a safety copy as of the last whole update, unless there is nothing yet or weights changed since."""
    if not math.isnan(run.progress.base_loss) and not run.optimizer.done:
        run.optimizer.zero_grad()
        checkpointing.save(run)
    run.end("stopped", question)
    return run


def _evaluate(run: Run) -> None:
    loss, seen = guard.evaluate(run)
    progress = run.progress
    better = loss < progress.best_loss
    run.folder.emit(Evaluated(step=progress.step, loss=loss, n=seen, best=better))
    if better:
        progress.best_loss, progress.best_step, progress.looks_without_gain = loss, progress.step, 0
        run.keep_best()
        return
    progress.looks_without_gain += 1
    if run.plan.patience and progress.looks_without_gain >= run.plan.patience:
        run.end(f"the held-out loss has not improved for {count(progress.looks_without_gain, 'look')}")


def finish(run: Run) -> dict[str, Any]:
    """Keep the best, judge it, write it; or, when asked to stop, keep what there is so that the run can go on later."""
    progress, folder = run.progress, run.folder
    if run.why and run.why not in ("stopped", "failed"):
        text = f"Ended early: {run.why}. The best version, from update {progress.best_step}, is kept."
        folder.emit(Noted(step=progress.step, text=text, code="ended_early", why=run.why))
    run.optimizer.rest()
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
    preview.end(run)
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


def _seconds_left(run: Run) -> float:
    progress = run.progress
    per_step = progress.seconds / max(progress.step, 1)  # evaluations and checkpoints included, as they will be again
    left = per_step * (run.total_steps - progress.step)
    return min(left, 60 * run.plan.max_minutes - progress.seconds) if run.plan.max_minutes else left


def artifact_of(path: Path, kind: str, step: int, digest: str) -> Artifact:
    """An Artifact record of a folder, with its size."""
    return Artifact(
        kind=kind, path=str(path), step=step, digest=digest, bytes=sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
    )
