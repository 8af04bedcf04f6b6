"""Owns the causes that are a want of memory or of disk, put in where memory or disk is asked for.

A limit of the system (RLIMIT_AS) or the allocator's own words raised at the very call; a process really killed; a disk really refusing.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from random import Random
from typing import Any
from unittest import mock

from benchmarks.labfail.make import data
from benchmarks.labfail.make.cause import Cause, told
from benchmarks.labfail.make.setups import Setup, limited
from benchmarks.labfail.records import PAIRS, TINY
from tests.support.faults import CPU
from tests.support.troubles import kills_when_large

OUT = told("out_of_memory", "does_not_fit", "killed_for_memory")


def batch(setup: Setup, draw: Random) -> Setup:
    """Many examples at once, and a part of the memory that takes."""
    size, share = draw.choice((24, 32, 48)), draw.uniform(0.3, 0.65)
    settings = {"micro_batch": size, "effective_batch": size, "max_length": 256}
    rows = _longer(setup, range(len(setup.rows)), 2)
    return setup.but(f"{size} at once, {share:.0%} of the memory", rows=rows, settings=settings, trouble=lambda: limited(share, size))


def longest(setup: Setup, draw: Random) -> Setup:
    """A few examples many times as long as the others; only batches with them do not fit."""
    chosen = draw.sample(range(len(setup.rows)), draw.choice((5, 7, 10)))
    rows = _longer(setup, chosen, 30)
    most = draw.choice((1000, 1200, 1400))
    return setup.but(
        f"{len(chosen)} long rows; over {most} tokens fail", rows=rows, settings={"max_length": 256}, trouble=lambda: too_large(most)
    )


def optimizer(setup: Setup, draw: Random) -> Setup:
    """The optimiser's notes do not fit: at its first or second step, once, or for good until fewer weights learn."""
    first, times, rank = draw.choice((1, 2)), draw.choice((1, 2, 99)), draw.choice((2, 4))
    if times > 2:
        return setup.but(f"no memory for the optimiser over rank {rank}", trouble=lambda: in_optimizer(range(first, 1 << 30), rank))
    return setup.but(f"no memory at optimiser step {first}, {times} times", trouble=lambda: in_optimizer(range(first, first + times)))


def evaluation(setup: Setup, draw: Random) -> Setup:
    """Looking at held-out examples does not fit; learning does."""
    most = draw.choice((100, 150, 200, 260))
    return setup.but(f"looks over {most} tokens fail", trouble=lambda: too_large(most, learning=False))


def killed(setup: Setup, draw: Random) -> Setup:
    """From some update on the system ends the process whenever it computes too many tokens at once."""
    at, most = draw.randrange(3, 20), draw.choice((130, 160, 240, 320))
    return setup.but(f"killed over {most} tokens from update {at}", trouble=lambda: kills_when_large(at, most))


def does_not_fit(setup: Setup, draw: Random) -> Setup:
    """Not even one example fits with every saving on."""
    most = draw.choice((12, 16, 20))
    return setup.but(f"over {most} tokens fail, even alone", trouble=lambda: too_large(most))


def loading(setup: Setup, _: Random) -> Setup:
    """The model itself does not fit."""
    return setup.but("no memory for the weights", trouble=no_room_for_weights)


def disk_full(setup: Setup, draw: Random) -> Setup:
    """The disk takes no safety copy from some update on."""
    copies = draw.randrange(3)
    return setup.but(f"the disk is full after {copies} safety copies", trouble=lambda: no_room_on_disk(copies))


# ---- where it acts -----------------------------------------------------------------------------------------------------------


@contextmanager
def too_large(most: int, *, learning: bool = True) -> Iterator[None]:
    """Every micro-batch of more than `most` padded tokens fails as the allocator fails, while learning or while looking."""
    import torch

    from loralab.sessions.text import TextSession

    healthy = TextSession.loss

    def loss(self: Any, chosen: Any) -> Any:
        if torch.is_grad_enabled() == learning and chosen.tensors["ids"].numel() > most:
            raise RuntimeError(CPU)
        return healthy(self, chosen)

    with mock.patch.object(TextSession, "loss", loss):
        yield


@contextmanager
def in_optimizer(at: range, rank: int = 0) -> Iterator[None]:
    """The optimiser's kernel fails at these calls, for an adapter of a higher rank than `rank`."""
    import torch

    healthy, calls = torch._fused_adamw_, [0]  # pyright: ignore[reportPrivateImportUsage]

    def kernel(*arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] in at and any(min(tensor.shape) > rank for tensor in arguments[0]):
            raise RuntimeError(CPU)
        return healthy(*arguments, **named)

    with mock.patch.object(torch, "_fused_adamw_", kernel):
        yield


@contextmanager
def no_room_for_weights() -> Iterator[None]:
    """Loading the base model fails as the allocator fails."""
    from loralab.sessions import text

    def load(*_: Any, **__: Any) -> Any:
        raise RuntimeError(CPU)

    with mock.patch.object(text, "load_base", load):
        yield


@contextmanager
def no_room_on_disk(copies: int) -> Iterator[None]:
    """After `copies` safety copies the disk refuses the next ones."""
    from loralab.train import checkpoint

    healthy, made = checkpoint.save, [0]

    def save(*arguments: Any, **named: Any) -> Any:
        made[0] += 1
        if made[0] > copies:
            raise OSError(errno.ENOSPC, "No space left on device")
        return healthy(*arguments, **named)

    with mock.patch.object(checkpoint, "save", save):
        yield


def _longer(setup: Setup, chosen: Any, times: int) -> tuple[dict[str, Any], ...]:
    """Rows whose answers are `times` as long in these places."""
    _, answer = data.columns(setup.rows)
    where = set(chosen)
    return tuple({**row, answer: " ".join([str(row[answer])] * times)} if at in where else row for at, row in enumerate(setup.rows))


def _enough(setup: Setup) -> Setup:
    return replace(setup, trouble=nullcontext)


CAUSES = (
    Cause("batch_too_large", ("R10",), batch, OUT, fixable=True, rid=_enough, data=("support", "desk", "plain")),
    Cause("longest_too_large", ("R12",), longest, OUT, fixable=True, rid=_enough, data=("numbers", "support", "chat"), models=TINY),
    Cause("optimizer_too_large", ("R11",), optimizer, OUT, fixable=True, rid=_enough),
    Cause("look_too_large", ("R13",), evaluation, OUT, fixable=True, rid=_enough),
    Cause("killed_for_memory", ("R18",), killed, OUT, fixable=True, rid=_enough, models=TINY),
    Cause("example_too_large", ("R76", "R12", "R10"), does_not_fit, OUT, data=PAIRS),
    Cause("model_too_large", ("R21",), loading, OUT),
    Cause("disk_full", ("R91",), disk_full, told("disk_full")),
)
