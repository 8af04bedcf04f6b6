"""Owns in which ways pictures may be varied: whether left and right, or up and down, mean something in them, told from small copies.

Invariant: what is not plain is taken to mean something: a picture that is never mirrored teaches less, one that is mirrored wrongly teaches
what is not so.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from loralab.datasets.images.facts import Fact

FEWEST = 20  # pictures that tell
RATIO, SHARE = 3.0, 0.004  # of the mean difference: times what chance leaves, and share of all that differs in the pictures
CERTAIN, ASIDE, TALL = 4.0, 0.06, 0.3  # standard errors, share of a side, logarithm of height over width

Copies = npt.NDArray[np.float32]


def views_of(facts: Sequence[Fact], labels: Sequence[str | None], *, lit: bool = False) -> str:
    """The name of the variations that suit pictures: microscope (no direction at all), photo (up is not down), xray (left is not right).

    Each class is looked at by itself, too: arrows to the left and to the right are symmetric only together. `lit`: what is asked is about
    things in the picture, so that light which falls from one side says nothing.
    """
    if len(facts) < FEWEST:
        return "photo"
    copies = np.stack([_even(fact.small(), lit=lit) for fact in facts])
    classes = [np.array([label == one for label in labels]) for one in sorted({label for label in labels if label is not None})]
    parts = [copies, *(copies[here] for here in classes if here.sum() >= FEWEST)]
    if any(_differs(part, part[:, :, ::-1]) for part in parts):
        return "xray"
    if any(_differs(part, other) for part in parts for other in (part[:, ::-1], part.transpose(0, 2, 1))):
        return "photo"
    return "microscope"


def views_of_things(boxes: npt.ArrayLike) -> str:
    """The same for pictures with things in boxes [k, 4], in shares of the picture's sides: where things lie, and whether they stand or lie,
    tells what pixels do not, since light falls from one side under a microscope, too. Pictures have their sides' own shape.
    """
    found = np.asarray(boxes, np.float64).reshape(-1, 4)
    if len(found) < FEWEST:
        return "photo"
    middles = (found[:, :2] + found[:, 2:]) / 2 - 0.5
    shape = np.log(np.maximum(found[:, 3] - found[:, 1], 1e-6) / np.maximum(found[:, 2] - found[:, 0], 1e-6))
    away = np.abs(middles.mean(0))
    sure = away > CERTAIN * middles.std(0) / np.sqrt(len(found))
    if sure[0] and away[0] > ASIDE:
        return "xray"
    stands = abs(float(np.median(shape))) > TALL
    return "photo" if stands or (sure[1] and away[1] > ASIDE) else "microscope"


def _even(small: Copies, *, lit: bool) -> Copies:
    """Without its brightness and contrast; of a `lit` one also without light that grows or shrinks smoothly (a surface of degree two)."""
    if lit:
        across, down = np.meshgrid(*(np.linspace(-1, 1, side) for side in small.shape[::-1]))
        surfaces = np.stack([np.ones_like(across), across, down, across**2, down**2, across * down], -1).reshape(small.size, -1)
        light = surfaces @ np.linalg.lstsq(surfaces, small.reshape(-1), rcond=None)[0]
        small = (small - light.reshape(small.shape)).astype(np.float32)
    spread = float(small.std())
    return (small - small.mean()) / spread if spread > 1 else np.zeros_like(small)


def _differs(copies: Copies, turned: Copies) -> bool:
    """Whether pictures differ from what they are turned into by more than chance, each taken once."""
    apart = copies - turned
    mean = apart.mean(0)
    chance = float(apart.var(0).sum()) / max(1, len(apart) - 1)
    size = float((mean**2).sum())
    return size > RATIO * chance and size > SHARE * float((copies**2).sum(axis=(1, 2)).mean())
