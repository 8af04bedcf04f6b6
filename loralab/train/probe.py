"""Stage C of the fit: the costliest micro-batches tried out in the worker before the first update, and less at once if need be.

Invariant: a probe leaves no trace but that less is computed at once: random numbers, gradients, optimiser and weights are as they were,
so a run with a probe is the run without one. It asks for memory only where the smaller try says that it is there.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch

from loralab.core.errors import Unavailable
from loralab.core.events import Noted, Probed
from loralab.core.words import size
from loralab.machine.hardware import measure_machine
from loralab.train import checkpoint, memory
from loralab.train.allocation import attempt, make_room
from loralab.train.session import Batch, Session
from loralab.train.state import Run

FULL = 0.92  # of the free memory that training may take
AMPLE = 4  # times what a step counts: with so much free there is nothing to find out
WORTH = 40  # micro-batches a run must have: two tries cost about one of them
TRIES = (0.5, 1.0)  # of the costliest micro-batch; the second is only made where the first says that it fits
SMALLEST = 16  # cost of a try


@dataclass(frozen=True)
class Fit:
    """A straight line through two tries: memory (of the whole process) over what a step counts. Bytes."""

    counted: tuple[float, ...]
    measured: tuple[float, ...]

    def at(self, counted: float) -> int:
        """Memory at another size; a single try is taken as it is, with what it counted set free to grow."""
        if len(self.counted) == 1:
            return int(self.measured[0] + max(0.0, counted - self.counted[0]))
        (a, b), (low, high) = self.counted, self.measured
        slope = (high - low) / (b - a) if b > a else 1.0
        return int(high + max(slope, 0.0) * (counted - b))


def probe(run: Run) -> None:
    """Measure, predict the costliest micro-batch's peak, say it, and compute less at once where it would not fit."""
    worst = run.session.worst_batch()
    if worst is None:
        return
    reason = _not_worth(run, worst)
    if reason:  # not for people: nothing is missing
        run.folder.emit(Probed(skipped=reason))
        return
    run.folder.emit(Noted(text="", phase="trying out how much memory a step takes"))
    begun = time.monotonic()
    run.progress.peak_memory = max(run.progress.peak_memory, memory.peak())
    found = _measure(run, worst.cost)
    if found is None:
        return
    fit, free = found
    again = len(worst.rows) < run.plan.effective_batch  # then gradients of the first micro-batch are there when the second comes
    predicted, room = fit.at(run.session.predicted_bytes(worst, again=again)), memory.used() + int(FULL * free)
    text = f"Tried out: training will take {size(predicted)} of memory at its largest; {size(memory.used() + free)} are there."
    seconds = time.monotonic() - begun
    run.folder.emit(Probed(text=text, bytes=predicted, free=free, cost=worst.cost, measured=fit.measured, seconds=seconds))
    if predicted > room:
        _lower(run, fit, room, worst)


def _not_worth(run: Run, worst: Batch) -> str:
    """Why there is nothing to gain from a probe; empty where there is."""
    weights = sum(p.numel() for p in run.session.model.parameters())
    if weights < memory.SETTLED_FROM:
        return "the model is so small that it fits anywhere"
    batches = run.total_steps * -(-run.plan.effective_batch // max(1, len(worst.rows)))
    if batches < WORTH:
        return "the run is so short that its first updates show it as soon"
    try:
        counted = run.session.predicted_bytes(worst)
    except Unavailable as error:
        return error.problem.what
    notes = 8 * sum(p.numel() for p in run.session.model.parameters() if p.requires_grad)
    return f"{AMPLE} times what it counts is free" if AMPLE * (counted + notes) <= _free(run) else ""


def _measure(run: Run, worst: int) -> tuple[Fit, int] | None:
    """Two tries with the optimiser's notes there, the second only where the first says it fits: the fit, and what was free before."""
    session = run.session
    if not memory.reset_peak():
        run.folder.emit(Probed(skipped="this system does not tell the most memory used"))
        return None
    free, room = _free(run), memory.used() + int(FULL * _free(run))
    notes = _ballast(session, run.optimizer)
    counted, measured = list[float](), list[float]()
    for share in TRIES:
        batch = session.worst_batch(max(SMALLEST, int(worst * share)))
        expected = session.predicted_bytes(batch) if batch else 0.0
        larger = not counted or (expected > counted[-1] and Fit(tuple(counted), tuple(measured)).at(expected) <= room)
        if batch is None or not larger:
            break
        peak, why = attempt(lambda batch=batch: _try(session, batch), session.model.zero_grad)
        if peak is None:
            run.folder.emit(Probed(failed=why, cost=batch.cost))
            return (Fit(tuple(counted), tuple(measured)), free) if counted else None
        counted.append(expected)
        measured.append(peak)
    del notes
    make_room()
    return Fit(tuple(counted), tuple(measured)), free


def _try(session: Session, batch: Batch) -> int:
    """The highest memory while a micro-batch goes forward and back. Dropout's random numbers are put back."""
    before = checkpoint.random_state()
    memory.reset_peak()
    loss, _ = session.loss(batch)
    loss.backward()
    peak = memory.peak()
    session.model.zero_grad(set_to_none=True)
    checkpoint.restore_random_state(before)
    return peak


def _ballast(session: Session, optimizer: Any) -> list[torch.Tensor]:
    """As much memory as the optimiser's notes will take once it has stepped, really taken."""
    held = {p for part in optimizer.parts for p in part.state}
    wanting = [p for p in session.state().values() if p not in held]
    squeezed = getattr(session.plan, "optimizer", "").endswith("8bit")
    return [torch.ones(2 * p.numel() * (1 if squeezed else 4), dtype=torch.uint8, device=p.device) for p in wanting]


def _free(run: Run) -> int:
    if torch.cuda.is_available():
        held = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()  # kept by torch, ready to be used again
        return torch.cuda.mem_get_info()[0] + held
    return measure_machine(run.folder.path).memory_free


def _lower(run: Run, fit: Fit, room: int, worst: Batch) -> None:
    """Halve what is computed at once until the prediction fits; a single row that does not fit alone is left to the guard."""
    rows = len(worst.rows)
    while rows > 1:
        batch = run.session.worst_batch(rows * worst.largest)
        if batch is None or fit.at(run.session.predicted_bytes(batch, again=True)) <= room:
            break
        rows //= 2
    reason = f"only {size(room)} of memory may be used, and this much at once stays below it; the result does not depend on it"
    if rows < len(worst.rows):
        run.change(reason, **run.session.limit_cost(rows * worst.largest))
