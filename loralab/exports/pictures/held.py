"""Owns the pictures that an export is compared on: some that were held out of its run, as files and as the model reads them.

Invariant: only pictures that its run never learned from; the same ones every time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from loralab.core.errors import UserError
from loralab.datasets.dataset import spread
from loralab.datasets.images.door import load_pictures, parts
from loralab.datasets.images.geometry import Placement
from loralab.datasets.images.opened import picture
from loralab.datasets.images.views import seen
from loralab.exports import Source
from loralab.runtimes.vision.picture_model import PictureCard

MOST = 16  # pictures compared
ANYTHING = 4  # pictures of chance where those of the run are gone: enough to see whether a program computes the same


@dataclass(frozen=True)
class Held:
    """Pictures as the model reads them [n, height, width, 3], their files and where they lie in it. Without files: `why` there are none."""

    pixels: npt.NDArray[np.uint8]
    files: tuple[Path, ...] = ()
    places: tuple[Placement, ...] = ()
    why: str = ""


def heldout(source: Source, card: PictureCard) -> Held:
    """The held-out pictures of a run, evenly chosen; where they are gone, chance."""
    plan = source.plan
    home = source.adapter.parents[3] if len(source.adapter.parents) > 3 else None
    try:
        pictures = load_pictures(Path(str(plan.get("dataset") or "")), home, plan.get("roles") or None)
        held = parts(pictures, float(plan.get("heldout_share", 0.1)), int(plan.get("seed", 0))).heldout
        files = tuple(pictures.root / held[i].media[0] for i in spread(len(held), MOST))
        shown = [seen(picture(file), card.size) for file in files]
    except UserError as error:
        shown, files, why = [], (), error.problem.what
    else:
        why = "" if shown else "no picture was held out"
    if not shown:
        random = np.random.default_rng(0)
        return Held(random.integers(0, 256, (ANYTHING, card.height, card.width, 3), dtype=np.uint8), why=why)
    return Held(np.stack([one.pixels for one in shown]), files, tuple(one.place for one in shown))
