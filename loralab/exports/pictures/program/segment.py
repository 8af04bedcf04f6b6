"""What a model that marks things in pictures says of one."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from loralab.exports.pictures.program.seen import opened, seen


def answer(model: Any, path: Path) -> dict[str, Any]:
    """“mask” [height, width] in the picture's own size: 0 background, 1 the first label, and so on; “shares”: how much each marks."""
    image = opened(path)
    pixels, (left, top, across, down) = seen(image, model.card)
    box = (left, top, left + across, top + down)
    maps = model.outputs(pixels[None])[0][0]
    own = np.stack([np.asarray(Image.fromarray(one).resize(image.size, Image.Resampling.BILINEAR, box=box)) for one in maps])
    mask = (own[0] >= model.card["threshold"]) if len(own) == 1 else own.argmax(0)
    shares = {label: round(float((mask == place).mean()), 6) for place, label in enumerate(model.card["labels"], 1)}
    return {"shares": shares, "mask": mask.astype(np.uint8)}
