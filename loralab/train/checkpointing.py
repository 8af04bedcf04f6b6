"""When a checkpoint is written, and what a run does when the disk does not take it or the computer sleeps.

Invariants: one that could not be written is told, costs nothing that was saved before, and is tried again; while the run's own log
cannot be written the run waits where it is, so that nothing happens that nobody can read.
"""

from __future__ import annotations

import time
from typing import Any

from loralab.core import disk
from loralab.core.errors import Problem
from loralab.core.events import Incident, Noted, Saved
from loralab.core.records import Artifact
from loralab.core.words import duration
from loralab.runs.run_folder import RunFolder
from loralab.train import checkpoint
from loralab.train.state import Run

QUICK, SHARE = 0.5, 0.05  # seconds, share of the time that one at an evaluation may take; the plan's minutes hold whatever it takes
AGAIN = 60.0  # seconds until a copy that failed is tried again
RETRY_EVERY = 1.0  # seconds between two tries whether there is room again


def due(run: Run, *, evaluated: bool) -> bool:
    """Whether it is time for one: by the plan's minutes; at each evaluation, where they are as quick as those of an adapter; at the end."""
    state, now = run.checkpoints, run.clock.now()
    if run.progress.ended or run.progress.step >= run.total_steps:
        return True
    if state.failed is not None:
        return now - state.failed >= AGAIN
    since = now - state.last
    return since > 60 * run.plan.checkpoint_minutes or (evaluated and state.seconds <= max(QUICK, SHARE * since))


def newest(folder: RunFolder) -> dict[str, Any] | None:
    """The newest safety copy that is whole, or None. Damaged ones that had to be put aside for it are told."""
    before = len(checkpoint.put_aside(folder.checkpoints))
    saved = checkpoint.newest(folder.checkpoints)
    lost = len(checkpoint.put_aside(folder.checkpoints)) - before
    if lost > 0:
        step = int(saved["progress"]["step"]) if saved else 0
        many = "A safety copy was" if lost == 1 else f"{lost} safety copies were"
        text = f"{many} damaged and put aside; going on from {f'update {step}' if step else 'the beginning'}."
        folder.emit(Incident(step=step, code="damaged_copy", text=text, data={"damaged": lost}))
    return saved


def save(run: Run) -> bool:
    """Write a copy of where the run is; False when the disk did not take it, which is told once until it does again."""
    step, state, begun = run.progress.step, run.checkpoints, time.monotonic()
    try:
        path = checkpoint.save(run.folder.checkpoints, run.progress, run.session.state(), run.best, run.optimizer)
    except OSError as error:
        if state.failed is None:
            problem = disk.told(error, run.folder.checkpoints).problem
            text = f"No safety copy could be written: {problem.what} The run goes on and tries again; the older copies are kept."
            run.folder.emit(Incident(step=step, code=problem.code, text=text, data={"error": str(error)}))
        state.failed = run.clock.now()
        return False
    if state.failed is not None:
        run.folder.emit(Noted(step=step, text="Safety copies can be written again."))
    state.failed, state.last, state.seconds = None, run.clock.now(), time.monotonic() - begun
    run.folder.emit(Saved(step=step, artifact=Artifact(kind="checkpoint", path=str(path), step=step, bytes=path.stat().st_size)))
    return True


def save_to_stop(run: Run) -> Problem | None:
    """A copy before the run ends because it was asked to; where there is none, what to say about from where it will go on."""
    if save(run):
        return None
    left = checkpoint.saved_in(run.folder.checkpoints)
    where = f"update {checkpoint.step_of(left[-1])}" if left else "the beginning"
    what = f"Stopped as you asked, but the last safety copy could not be written: it will go on from {where}."
    return Problem(code="copy_not_written", what=what, todo="Free some space, then resume it.")


def computed(run: Run, seconds: float) -> float:
    """Of the `seconds` an update took, those in which the computer did not sleep or stand still. Such a time is told."""
    still, missing = run.clock.lost(seconds)
    if missing:
        text = f"The computer slept or stood still for {duration(missing)}. The run went on where it was; that time is not counted."
        run.folder.emit(Noted(step=run.progress.step, text=text))
    return seconds - still


def wait_for_room(run: Run) -> None:
    """Wait, here, until the log can be written again or the run is asked to stop; the time is not training time."""
    if not run.folder.short_of_room:
        return
    begun, step = time.monotonic(), run.progress.step
    text = "The disk is full. The run waits until there is room again; nothing is lost."
    run.folder.emit(Incident(step=step, code="disk_full", text=text))
    run.folder.emit(Noted(step=step, text="", phase="waiting for room on the disk"))
    while not run.folder.make_room() and not run.folder.stop_asked:
        time.sleep(RETRY_EVERY)
    run.clock.skip(time.monotonic() - begun)
    if not run.folder.short_of_room:
        run.folder.emit(Noted(step=step, text="There is room on the disk again: the run goes on.", phase="training"))
