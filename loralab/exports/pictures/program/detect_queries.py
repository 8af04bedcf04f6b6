"""What a model that finds things by queries says of a picture."""

from pathlib import Path
from typing import Any

import numpy as np

from loralab.exports.pictures.program.seen import opened, seen

MOST = 300  # things in a picture


def answer(model: Any, path: Path) -> dict[str, Any]:
    """“things”: for each its label, how sure the model is, and its box: left, top, right, bottom in the picture's pixels; surest first."""
    image = opened(path)
    pixels, (left, top, across, down) = seen(image, model.card)
    scores, boxes = (one[0] for one in model.outputs(pixels[None]))
    flat = scores.reshape(-1)
    order = np.argsort(-flat, kind="stable")[:MOST]
    order = order[flat[order] >= model.card["threshold"]]
    queries, kinds = np.divmod(order, scores.shape[1])
    scale = np.array([across / image.width, down / image.height] * 2)
    places = ((boxes[queries] - [left, top, left, top]) / scale).clip(0, [image.width, image.height] * 2)
    labels = model.card["labels"]
    every = zip(places, flat[order], kinds, strict=True)
    return {"things": [{"label": labels[k], "score": round(float(s), 6), "box": [round(float(v), 2) for v in b]} for b, s, k in every]}
