"""What a model that finds things in pictures says of one."""

from pathlib import Path
from typing import Any

import numpy as np

from loralab.exports.pictures.program.seen import opened, seen

STRIDE = 4  # pixels from one spot of the model's grid to the next
SAME = 0.6  # share of common area from which two boxes of a label are one thing
MOST = 300  # things in a picture


def answer(model: Any, path: Path) -> dict[str, Any]:
    """“things”: for each its label, how sure the model is, and its box: left, top, right, bottom in the picture's pixels; surest first."""
    image = opened(path)
    pixels, (left, top, across, down) = seen(image, model.card)
    peaks, sides = model.outputs(pixels[None])
    boxes, scores, kinds = found(peaks[0], sides[0], model.card["threshold"])
    scale = np.array([across / image.width, down / image.height] * 2)
    boxes = ((boxes - [left, top, left, top]) / scale).clip(0, [image.width, image.height] * 2)
    every = zip(boxes, scores, kinds, strict=True)
    labels = model.card["labels"]
    return {"things": [{"label": labels[k], "score": round(float(s), 6), "box": [round(float(v), 2) for v in b]} for b, s, k in every]}


def found(peaks: np.ndarray, sides: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes [k, 4] in the pixels the model read, scores [k], labels [k]: of boxes that are one thing only the surest is kept."""
    _, height, width = peaks.shape
    flat = peaks.reshape(-1)
    order = np.argsort(-flat, kind="stable")[:MOST]
    order = order[flat[order] >= least]
    kinds, place = np.divmod(order, height * width)
    row, column = np.divmod(place, width)
    middle = (np.stack([column, row], 1) + 0.5) * STRIDE
    reach = sides[:, row, column].T
    boxes = np.concatenate([middle - reach[:, :2], middle + reach[:, 2:]], 1).clip(0, np.array([width, height] * 2) * STRIDE)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept: list[int] = []
    for i in range(len(boxes)):
        low, high = np.maximum(boxes[kept, :2], boxes[i, :2]), np.minimum(boxes[kept, 2:], boxes[i, 2:])
        common = (high - low).clip(0).prod(1)
        if not ((common > SAME * (area[kept] + area[i] - common).clip(1e-6)) & (kinds[kept] == kinds[i])).any():
            kept.append(i)
    return boxes[kept], flat[order][kept], kinds[kept]
