"""Owns masks as they are learned: one number for every pixel of a picture as it is seen.

Invariant: a mask has exactly the size of its picture; 0 is background, i the i-th of the labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from loralab.core.records import Target
from loralab.datasets.images.found import MaskTable
from loralab.datasets.images.opened import Pixels, Values, mask_values, turned
from loralab.datasets.images.outlines import drawn


def classes(values: Values, table: MaskTable) -> Pixels:
    """Values of a mask file as places among the labels."""
    if table.above is not None:
        return (values > table.above).astype(np.uint8)
    made = np.zeros(values.shape, dtype=np.uint8)
    for value, place in table.places.items():
        made[values == value] = place
    return made


def place(value: int, table: MaskTable) -> int:
    """What a single value means: 0 background, i the i-th of the labels."""
    return int(value > table.above) if table.above is not None else table.places.get(value, 0)


def mask(root: Path, target: Target, labels: Sequence[str], table: MaskTable, width: int, height: int, orientation: int = 1) -> Pixels:
    """The mask [height, width] of a picture of this size as it is seen. Raises Unreadable.

    A mask for the picture as it lies in its file is turned with it; one of another size and the same shape is made as large, without
    mixing. Regions with masks of their own lie over the whole one, later ones over earlier ones.
    """
    made = np.zeros((height, width), dtype=np.uint8)
    if target.mask:
        made = _fitted(classes(mask_values(root / target.mask), table), width, height, orientation)
    for region in target.regions:
        if region.mask:
            own = _fitted((mask_values(root / region.mask) > _middle(table)).astype(np.uint8), width, height, orientation)
            made[own > 0] = labels.index(region.label) + 1
        elif region.outline:
            own = _fitted(drawn(region.outline), width, height, orientation)
            made[own > 0] = labels.index(region.label) + 1
    return made


def fits(mask_width: int, mask_height: int, width: int, height: int, orientation: int) -> str:
    """How a mask lies on its picture: “same”, “turned” with it, “scaled”, or empty where it does not."""
    if (mask_width, mask_height) == (width, height):
        return "same"
    if orientation >= 5 and (mask_width, mask_height) == (height, width):
        return "turned"
    ratio = mask_width * height / max(1, mask_height * width)
    return "scaled" if abs(ratio - 1) < 0.02 else ""


def _middle(table: MaskTable) -> int:
    return table.above if table.above is not None else 0


def _fitted(values: Pixels, width: int, height: int, orientation: int) -> Pixels:
    if fits(values.shape[1], values.shape[0], width, height, orientation) == "turned":
        values = turned(values, orientation)
    if values.shape == (height, width):
        return np.ascontiguousarray(values)
    rows = np.minimum((np.arange(height) + 0.5) * values.shape[0] / height, values.shape[0] - 1).astype(int)
    columns = np.minimum((np.arange(width) + 0.5) * values.shape[1] / width, values.shape[1] - 1).astype(int)
    return np.ascontiguousarray(values[rows[:, None], columns])
