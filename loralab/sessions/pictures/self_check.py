"""Owns the question whether a run on pictures kept what it trained, and trained nothing else: what was saved answers as what is in memory,
and what was frozen is as it was loaded.

Invariant: nothing is said where both are so; what is found is an incident, which the advisor's rules read (not_saved_whole, eyes_moved).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from peft import get_peft_model_state_dict
from safetensors import safe_open
from torch import Tensor

from loralab.core.errors import UserError
from loralab.core.events import Incident
from loralab.core.words import count, plural
from loralab.runtimes.vision.picture_model import load_trained
from loralab.sessions.pictures.model import trained_file

DIFFERENT = 1e-2  # of what the head says, raw: saving and reading makes none, another order of sums makes 1e-5
FROZEN = "backbone."  # in the names of what is to stay as it was loaded
MOST = 20  # names that are told

Pixels = npt.NDArray[np.uint8]


def frozen_marks(model: Any) -> dict[str, int]:
    """A checksum (CRC-32) of each number array that is to stay as it is: frozen weights, and averages kept of what was seen."""
    still = {name: value for name, value in model.named_parameters() if FROZEN in name and not value.requires_grad}
    still |= {name: value for name, value in model.named_buffers() if FROZEN in name}
    return {name: zlib.crc32(value.detach().cpu().contiguous().numpy().tobytes()) for name, value in still.items()}


def moved(before: Mapping[str, int], model: Any, step: int) -> Incident | None:
    """An incident where something frozen is no longer as it was when `before` was taken."""
    names = sorted(name for name, mark in frozen_marks(model).items() if before.get(name, mark) != mark)
    if not names:
        return None
    text = f"{count(len(names), 'part')} of the model that {plural(len(names), 'was', 'were')} to stay as loaded moved while it learned."
    return Incident(step=step, code="base_moved", text=text, data={"names": names[:MOST]})


def not_saved(model: Any, base: Path, adapter: Path, pixels: Pixels, step: int) -> Incident | None:
    """An incident where what lies in the folder `adapter`, loaded on `base`, says something else of pictures [n, height, width, 3] than the
    model in memory does.
    """
    with safe_open(str(trained_file(adapter)), "pt") as kept:  # pyright: ignore[reportNoOverloadImplementation]
        missing = sorted(set(get_peft_model_state_dict(model)).difference(kept.keys()))
    if missing:
        what = f"{count(len(missing), 'part')} of what was trained {plural(len(missing), 'is', 'are')} not in it."
        text = f"What was saved was read again: {what}"
        return Incident(step=step, code="reload_differs", text=text, data={"missing": missing[:MOST]})
    try:
        again, _ = load_trained(base, adapter)
        difference = _apart(_said(model, pixels), _said(again, pixels))
    except UserError:
        difference = math.inf
    if difference <= DIFFERENT:
        return None
    text = "What was saved was read again, and it answers otherwise than what was trained."
    return Incident(step=step, code="reload_differs", text=text, data={"difference": min(difference, 1e9), "missing": []})


@torch.no_grad()
def _said(model: Any, pixels: Pixels) -> list[Tensor]:
    was, where = model.training, next(model.parameters()).device
    model.eval()
    said = model(torch.from_numpy(np.array(pixels)).to(where).permute(0, 3, 1, 2).float())
    model.train(was)
    return [one.float().cpu() for one in (said if isinstance(said, tuple) else (said,))]


def _apart(one: list[Tensor], other: list[Tensor]) -> float:
    """The largest difference; infinite where shapes differ, or something is no number."""
    if [part.shape for part in one] != [part.shape for part in other]:
        return math.inf
    gaps = [float((a - b).abs().max()) for a, b in zip(one, other, strict=True)]
    return max((gap if math.isfinite(gap) else math.inf for gap in gaps), default=0.0)
