"""Owns the question whether what was saved of a model for pictures is what was trained.

Invariant: it is answered by a fresh process that has seen nothing but the folders.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch

from loralab.runtimes.vision.fresh import Array, FreshProcess, Pixels
from loralab.runtimes.vision.picture_model import load_trained

__all__ = ["load_trained", "reloaded_difference", "told_now"]


def reloaded_difference(told: Sequence[Array], base: Path, adapter: Path, pixels: Pixels) -> float:
    """The largest difference between `told`, what the model in memory says of `pixels` (see `told_now`), and what base and adapter say that
    a fresh process loads from their folders. Infinity where they differ in shape or are no numbers.

    Raises LabError where they cannot be loaded.
    """
    with closing(FreshProcess("A fresh process that loads what was saved", "Train it again.")) as process:
        process.reload(base, adapter)
        there = process.outputs(pixels)
    if [one.shape for one in there] != [one.shape for one in told]:
        return float("inf")
    gaps = [np.abs(one - other).max(initial=0.0) for one, other in zip(told, there, strict=True)]
    return float(np.nan_to_num(gaps, nan=np.inf).max())


def told_now(model: Any, pixels: Pixels) -> list[Array]:
    """What a model in memory, with or without an adapter, says of pictures [n, height, width, 3]: its head's own numbers."""
    was, where = model.training, next(model.parameters()).device
    model.eval()
    with torch.no_grad():
        said = model(torch.from_numpy(np.array(pixels)).to(where).permute(0, 3, 1, 2).float())
    model.train(was)
    return [one.float().cpu().numpy() for one in (said if isinstance(said, tuple) else (said,))]
