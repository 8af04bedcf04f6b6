"""The same few held-out questions, answered at 0, 25, 50, 75 and 100 % of a run, so that a person sees it learn.

Invariants: nothing of the training notices (random numbers, mode and weights are as before); they take a few per cent of the run, or fewer
questions are asked, or none; what was asked before a run was interrupted is not asked again.
"""

from __future__ import annotations

import time
from functools import partial

from loralab.core.errors import LabError
from loralab.core.events import Noted, Previewed
from loralab.core.records import Sample
from loralab.train import checkpoint
from loralab.train.allocation import attempt
from loralab.train.state import Run

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the updates
MOST = 3  # questions
COST = 0.05  # of the training's seconds, for all of them together
LEAST_SECONDS = 3.0  # each time: reached on a computer so slow or busy that preparing and judging the shortest run takes many times that
LONGER = 3.0  # times what the first were allowed: a model that has learned to write sentences takes longer than one that had nothing to say
BACKWARD = 3.0  # times the work of looking at an example is that of learning from it


def begin(run: Run, seconds: float, rows: int) -> tuple[tuple[Sample, ...], bool]:
    """Ask before the first update; what was answered, and whether that is all there is to be had.

    Looking at `rows` held-out examples took `seconds`: from that it is known how long the run will take.
    """
    expected = BACKWARD * seconds / max(rows, 1) * run.plan.effective_batch * run.total_steps
    run.folder.emit(Noted(text="", phase="trying it on a few before training"))
    samples, whole = _ask(run, SHARES[0], MOST, _allowed(run, expected))
    _begun(run, samples)
    return samples, whole


def known(run: Run, samples: tuple[Sample, ...]) -> None:
    """What was answered before the first update is known already."""
    if samples:
        run.folder.emit(Previewed(step=run.progress.step, samples=samples, share=SHARES[0]))
    _begun(run, samples)


def _begun(run: Run, samples: tuple[Sample, ...]) -> None:
    run.progress.questions, run.progress.previews = len(samples), 1


def due(run: Run) -> bool:
    """Whether the next share of the updates is made. The last is asked once the run is over, of the version that is kept."""
    return bool(run.progress.questions) and _passed(run) > run.progress.previews


def ask(run: Run) -> None:
    """Ask after an update."""
    run.progress.previews = _passed(run)
    expected = run.progress.seconds / max(run.progress.step, 1) * run.total_steps
    _ask(run, SHARES[run.progress.previews - 1], run.progress.questions, LONGER * _allowed(run, expected))


def end(run: Run) -> None:
    """Ask what is kept, at the end."""
    if run.progress.questions:
        run.folder.emit(Noted(step=run.progress.step, text="", phase="trying it on the same ones again"))
        _ask(run, SHARES[-1], run.progress.questions, LONGER * _allowed(run, run.progress.seconds))


def _passed(run: Run) -> int:
    fraction = run.fraction(run.progress.step)
    return sum(share <= fraction for share in SHARES[:-1])


def _allowed(run: Run, expected: float) -> float:
    """Seconds for asking once, of a run that is expected to take so many."""
    if run.plan.max_minutes:
        expected = min(expected, 60 * run.plan.max_minutes)
    return max(LEAST_SECONDS, COST / len(SHARES) * expected)


def _ask(run: Run, share: float, most: int, seconds: float) -> tuple[tuple[Sample, ...], bool]:
    """Answers to the first questions, as many as are whole in time, and whether time and memory sufficed; told where there are any."""
    until = time.monotonic() + seconds
    model, random = run.session.model, checkpoint.random_state()
    training = model.training
    model.eval()
    try:
        with run.optimizer.averaged():
            found, _ = attempt(partial(run.session.preview, most, lambda: time.monotonic() > until))
    except LabError:  # numbers that broke while it was writing: the guard meets them where they matter
        found = None
    finally:
        model.train(training)
        checkpoint.restore_random_state(random)
    samples, whole = found or (), found is not None and time.monotonic() <= until
    if samples:
        run.folder.emit(Previewed(step=run.progress.step, samples=samples, share=share))
    return samples, whole
