"""Owns checkpoints: everything needed to go on exactly where a run was. Invariant: one is whole or absent."""

from __future__ import annotations

import os
import pickle
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from loralab.train.sound import refuse_broken

KEEP = 2  # the newest two: the older one is the way back when the disk lies about the newer


@dataclass
class Progress:
    """Where a run is: counted in optimiser updates, restored exactly on resume."""

    step: int = 0
    epoch: int = 0
    step_in_epoch: int = 0
    seconds: float = 0.0  # spent in updates, over all attempts
    tokens: int = 0
    best_loss: float = float("inf")
    best_step: int = 0
    looks_without_gain: int = 0
    base_loss: float = float("nan")
    peak_memory: int = 0
    troubles: int = 0  # times the guard made the settings gentler
    left_out: list[int] = field(default_factory=list)  # examples that break an update, as a person counts them
    heldout_left_out: list[int] = field(default_factory=list)


def save(folder: Path, progress: Progress, state: dict[str, Tensor], best: dict[str, Tensor] | None, optimizer: Any) -> Path:
    """Write `step-N.pt` into `folder` and forget the oldest. Plain tensors, numbers and strings only (loads with weights_only)."""
    refuse_broken(state, "safety copy")
    path = folder / f"step-{progress.step}.pt"
    temporary = path.with_suffix(".writing")
    content = {
        "progress": asdict(progress),
        "state": state,
        "best": best,
        "optimizer": optimizer.state_dict(),
        "rng": random_state(),
    }
    with temporary.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    for old in sorted(folder.glob("step-*.pt"), key=_step)[:-KEEP]:
        old.unlink()
    return path


def newest(folder: Path) -> dict[str, Any] | None:
    """The newest checkpoint that can be read, or None. A damaged one is passed over for the one before."""
    for path in sorted(folder.glob("step-*.pt"), key=_step, reverse=True):
        try:
            _verify(path)
            return torch.load(path, map_location="cpu", weights_only=True)
        except (zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
            path.rename(path.with_suffix(f".damaged-{type(error).__name__}"))
    return None


def _verify(path: Path) -> None:
    """Read the whole file against the checksums written into it: torch.load takes flipped bits for weights."""
    with zipfile.ZipFile(path) as parts:
        broken = parts.testzip()
    if broken:
        raise zipfile.BadZipFile(f"{broken} is not what was written")


def restore_random_state(saved: dict[str, Any]) -> None:
    """Put back torch's random numbers (dropout) as they were; everything else random here is seeded by plan and epoch."""
    torch.set_rng_state(saved["torch"])
    if saved["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(saved["cuda"])
    if saved.get("mps") is not None and torch.backends.mps.is_available():
        torch.mps.set_rng_state(saved["mps"])


def random_state() -> dict[str, Any]:
    """Where torch's random numbers are, on every device."""
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
    }


def _step(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])
