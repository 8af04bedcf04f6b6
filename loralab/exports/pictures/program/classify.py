"""What a model that sorts pictures says of one."""

from pathlib import Path
from typing import Any

from loralab.exports.pictures.program.seen import opened, seen


def answer(model: Any, path: Path) -> dict[str, Any]:
    """The likeliest class and how likely each is; “unsure” where none is likely enough."""
    pixels, _ = seen(opened(path), model.card)
    chances = model.outputs(pixels[None])[0][0]
    best = int(chances.argmax())
    found = {label: round(float(chance), 6) for label, chance in zip(model.card["labels"], chances, strict=True)}
    unsure = bool(chances[best] < model.card["unsure_below"])
    return {"label": model.card["labels"][best], "unsure": unsure, "probabilities": found}
