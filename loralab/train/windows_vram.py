"""What Windows does instead of failing: it moves what does not fit on the graphics card into main memory, and training crawls.

Since driver 536 nothing is raised then; an update merely takes five to twenty times as long. So torch is told to stop before the card
is full, and where other programs fill it all the same, the crawl is taken for what it is: out of memory. Invariant: on a system that
raises (Linux, macOS) nothing here does anything; a long example or a busy computer alone is no sign.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Sequence
from statistics import median

import torch

from loralab.train.allocation import make_room
from loralab.train.oom import report, shrink
from loralab.train.session import Batch
from loralab.train.state import Run

FULL = 0.02  # share of the card left free below which it counts as full
KEPT_FREE = 0.03  # share torch leaves alone, so that it never makes the card look full by itself
SLOWER = 3.0  # times the usual
ENOUGH, MOST = 5, 50  # updates behind “the usual”: fewer say nothing, older ones no longer hold

Pace = tuple[float, float]  # seconds of an update, seconds for each unit of it
Reading = tuple[int, int]  # bytes of the card: free, in all


def can_spill() -> bool:
    """Whether this system moves a full card's memory out silently: Windows, and Linux inside it."""
    return torch.cuda.is_available() and (sys.platform == "win32" or "microsoft" in platform.release().lower())


def allowed(free: int, total: int, held: int) -> float:
    """Share (0..1) of the card that torch may take: what is free and what it holds already, less a reserve. All in bytes."""
    return min(1.0, max(0.01, (free + held) / total - KEPT_FREE))


def bound_card() -> None:
    """Let torch raise before the card is full, where the system would not."""
    if can_spill():
        free, total = torch.cuda.mem_get_info()
        torch.cuda.set_per_process_memory_fraction(allowed(free, total, torch.cuda.memory_reserved()))


def spilled(now: Pace, before: Sequence[Pace], card: Reading) -> bool:
    """Whether an update took so long because the card is full: slow as a whole and by the unit, which a long example is not."""
    free, total = card
    if len(before) < ENOUGH or free >= FULL * total:
        return False
    return all(taken > SLOWER * median(usual) for taken, usual in zip(now, zip(*before, strict=True), strict=True))


def watch(run: Run, seconds: float, micro_batches: Sequence[Batch], card: Callable[[], Reading] | None = None) -> None:
    """After an update that took `seconds`: where it crawled because the card spilled over, less is computed at once from here on."""
    if not (card or can_spill()):
        return
    state, step = run.oom, run.progress.step
    now = (seconds, seconds / max(1, sum(batch.n_units for batch in micro_batches)))
    if state.last == step:
        return  # it was done twice, so its time says nothing
    if not spilled(now, state.paces, (card or torch.cuda.mem_get_info)()):
        state.paces = [*state.paces, now][-MOST:]
        return
    usual = median(pace[0] for pace in state.paces)
    text = (
        f"Update {step} took {seconds:.1f} s instead of {usual:.1f} s: the graphics card is full and Windows uses main memory in its place."
    )
    largest = max(micro_batches, key=lambda batch: batch.cost)
    report(run, text, "spilled into system memory", largest, code="memory_spill")
    state.paces = []
    make_room()
    shrink(run, largest.cost, at_once=True)
