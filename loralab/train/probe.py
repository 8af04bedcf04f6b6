"""Owns stage C of the fit: the largest micro-batches tried out in the worker before the first update, and a smaller budget if need be.

Invariant: a probe leaves no trace but a smaller token budget: random numbers, gradients, optimiser and weights are as they were, so a run
with a probe is the run without one. It asks for memory only where the smaller try says that it is there.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import torch

from loralab.core.events import Noted
from loralab.core.words import size
from loralab.machine.hardware import measure_machine
from loralab.train import checkpoint, memory
from loralab.train.allocation import attempt, make_room
from loralab.train.session import Batch, Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from loralab.train.loop import Run

FULL = 0.92  # of the free memory that training may take
WORTH = 40  # micro-batches a run must have: two tries cost about one of them
_STRANGE = (
    AttributeError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)  # what a model's code may say to no content
TRIES = (0.5, 1.0)  # of the largest micro-batch's tokens; the second is only made where the first says that it fits


class Probed(Protocol):
    """What a session offers that can be probed."""

    def largest(self, tokens: int = 0) -> Batch:
        """The largest micro-batch there can be, of at most `tokens` padded tokens where given."""
        ...


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


def probe(run: Run, change: Callable[..., None]) -> None:
    """Measure, predict the largest micro-batch's peak, say it, and lower the token budget where it would not fit."""
    if not hasattr(run.session, "largest"):
        return
    reason = _not_worth(run)
    if reason:  # not for people: nothing is missing
        run.folder.emit(Noted(text="", data={"stage": "probe", "skipped": reason}))
        return
    run.folder.emit(Noted(text="", phase="trying out how much memory a step takes"))
    begun = time.monotonic()
    run.progress.peak_memory = max(run.progress.peak_memory, memory.peak())
    found = _measure(run)
    if found is None:
        return
    fit, free = found
    tokens = _tokens(cast("Probed", run.session).largest())
    predicted, room = fit.at(_count(run.session, tokens, again=_again(run))), memory.used() + int(FULL * free)
    text = f"Tried out: training will take {size(predicted)} of memory at its largest; {size(memory.used() + free)} are there."
    data = {
        "stage": "probe",
        "bytes": predicted,
        "free": free,
        "tokens": tokens,
        "measured": list(fit.measured),
        "seconds": time.monotonic() - begun,
    }
    run.folder.emit(Noted(text=text, data=data))
    if predicted > room:
        _lower(run, fit, room, change)


def _not_worth(run: Run) -> str:
    """Why there is nothing to gain from a probe; empty where there is."""
    plan, session = run.plan, cast("Probed", run.session)
    if plan.task != "text":
        return "all of its weights learn, which the books do not cover"
    weights = sum(p.numel() for p in run.session.model.parameters())
    if weights < memory.SETTLED_FROM:
        return "the model is so small that it fits anywhere"
    batches = run.total_steps * -(-plan.effective_batch // max(1, len(session.largest().rows)))
    if batches < WORTH:
        return "the run is so short that its first updates show it as soon"
    try:
        _count(run.session, 0)
    except _STRANGE as error:
        return f"its model cannot be counted without its weights ({type(error).__name__}: {error})"
    return ""


def _measure(run: Run) -> tuple[Fit, int] | None:
    """Two tries with the optimiser's notes there, the second only where the first says it fits: the fit, and what was free before."""
    session = run.session
    largest = _tokens(cast("Probed", session).largest())
    if not memory.reset_peak():
        run.folder.emit(Noted(text="", data={"stage": "probe", "skipped": "this system does not tell the most memory used"}))
        return None
    free, room = _free(run), memory.used() + int(FULL * _free(run))
    notes = _ballast(session, run.optimizer)
    counted, measured = list[float](), list[float]()
    for share in TRIES:
        tokens = max(16, int(largest * share))
        batch = cast("Probed", session).largest(tokens)
        size = _count(session, _tokens(batch))
        if (counted and size <= counted[-1]) or (counted and Fit(tuple(counted), tuple(measured)).at(size) > room):
            break
        peak, why = attempt(lambda batch=batch: _try(session, batch), session.model.zero_grad)
        if peak is None:
            run.folder.emit(Noted(text="", data={"stage": "probe", "failed": why, "tokens": tokens}))
            return (Fit(tuple(counted), tuple(measured)), free) if counted else None
        counted.append(size)
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
    squeezed = getattr(session.plan, "optimizer", "") == "adamw_8bit"
    return [torch.ones(2 * p.numel() * (1 if squeezed else 4), dtype=torch.uint8, device=p.device) for p in wanting]


def _count(session: Session, tokens: int, *, again: bool = False) -> float:
    """What a micro-batch of at most `tokens` holds: bytes by the books of a model without weights."""
    from loralab.sessions.trace import Pack, trace

    batch = cast("Probed", session).largest(tokens)
    rows, longest = batch.tensors["ids"].shape
    pack = Pack(rows, longest, max(1, batch.n_targets), again)
    parts = trace(cast("Any", session.plan), Path(cast("Any", session).model_folder), pack, batch.tensors["ids"].device.type)
    return float(parts["activations"] + parts["head"] + parts["adapter"])


def _again(run: Run) -> bool:
    """Whether an update has more than one micro-batch: then the first one's gradients are there when the second comes."""
    return len(cast("Probed", run.session).largest().rows) < run.plan.effective_batch


def _tokens(batch: Batch) -> int:
    return batch.tensors["ids"].numel()


def _free(run: Run) -> int:
    if torch.cuda.is_available():
        held = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()  # kept by torch, ready to be used again
        return torch.cuda.mem_get_info()[0] + held
    return measure_machine(run.folder.path).memory_free


def _lower(run: Run, fit: Fit, room: int, change: Callable[..., None]) -> None:
    """Halve the tokens at once until the prediction fits; a single row that does not fit alone is left to the guard."""
    session = cast("Probed", run.session)
    whole = session.largest()
    longest, rows = whole.tensors["ids"].shape[1], len(whole.rows)
    while rows > 1 and fit.at(_count(run.session, rows * longest, again=True)) > room:
        rows //= 2
    reason = f"only {size(room)} of memory may be used, and this many tokens at once stay below it; the result does not depend on it"
    if rows < len(whole.rows):
        change(run, reason, token_budget=rows * longest)
