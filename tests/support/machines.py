"""Owns imagined machines, models and data sets of a known size, for what is computed about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loralab.core.parts import part_of
from loralab.core.records import DatasetProfile
from loralab.machine.hardware import Gpu, Machine
from loralab.models.catalog import hub_entry
from loralab.models.model_check import ModelCheck

GB = 1_000_000_000


def laptop(**changes: Any) -> Machine:
    """Two cores, 8 GB of memory free, no card."""
    settings = {
        "cpu": "Test",
        "cores": 2,
        "memory_total": 16 * GB,
        "memory_free": 8 * GB,
        "disk_free": 100 * GB,
        "platform": "x",
        "python": "3.11",
    }
    return Machine.model_validate(settings | changes)


def with_card(free: float = 8.0, *, bits: bool = True, **changes: Any) -> Machine:
    """A laptop with an NVIDIA card of which `free` GB are free."""
    card = Gpu(name="Card", total_bytes=24 * GB, free_bytes=int(free * GB), capability=(8, 6))
    part = part_of("bitsandbytes").model_copy(update={"present": bits, "obstacle": ""})
    return laptop(**({"gpus": (card,), "torch_cuda": "12.8", "optional": (part,), "memory_free": 32 * GB} | changes))


def here(name: str) -> ModelCheck:
    """A catalogue model as if it were on this computer."""
    entry = hub_entry(name)
    assert entry is not None
    shape = entry.shape
    return ModelCheck(
        name=name,
        ok=True,
        folder=Path("m"),
        entry=entry,
        present=True,
        shape=shape,
        parameters=entry.parameters,
        attention_linear=shape.attention_linear,
        mlp_linear=shape.mlp_linear,
        template=True,
        words="It can be trained.",
    )


def examples(n: int = 400, mean: int = 100, **changes: Any) -> DatasetProfile:
    """A profile of `n` question/answer rows of about `mean` tokens, half of them learned; the longest has five times as many."""
    tokens = {"p50": mean, "p90": 2 * mean, "p95": 3 * mean, "p99": 4 * mean, "max": 5 * mean, "total": n * mean, "learned": n * mean // 2}
    heldout = max(8, n // 10) if n > 8 else 0
    settings = {
        "id": "x",
        "name": "x",
        "path": "x.csv",
        "shape": "question_answer",
        "roles": {"user": "q", "assistant": "a"},
        "n_read": n,
        "n_kept": n,
        "n_train": n - heldout,
        "n_heldout": heldout,
        "tokens": tokens,
    }
    return DatasetProfile.model_validate(settings | changes)
