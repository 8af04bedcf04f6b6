"""Owns what a model marked in a picture, kept in a small file beside its run, so that it is drawn whenever somebody looks.

Invariants: no picture is in such a file, only where something is in it; a file is named by what is in it, so writing it again changes
nothing; one that is gone or damaged is a UserError.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from pathlib import Path

import numpy as np
from PIL import Image

from loralab.core.errors import UserError
from loralab.core.paths import write_atomic
from loralab.datasets.images.drawn import Mark, Marks

FOLDER = "looks"  # in a run's artifacts
MOST_SIDE = 640  # pixels of the longer side of a mask: it is only to be shown
_NAME = re.compile(r"[0-9a-f]{16}\.(?:png|json)")


def keep(artifacts: Path, what: Marks) -> str:
    """Keep boxes or a mask; returns the name that `kept` takes."""
    if what.mask is not None:
        written, ending = io.BytesIO(), "png"
        mask = Image.fromarray(np.ascontiguousarray(what.mask, np.uint8))
        factor = min(1.0, MOST_SIDE / max(mask.size))
        size = (max(1, round(mask.width * factor)), max(1, round(mask.height * factor)))
        mask.resize(size, Image.Resampling.NEAREST).save(written, "PNG")
        content = written.getvalue()
    else:
        boxes = [(mark.label, [round(float(value), 1) for value in mark.box], mark.sure) for mark in what.boxes]
        content, ending = json.dumps(boxes, ensure_ascii=False).encode("utf-8"), "json"
    name = f"{hashlib.sha256(content).hexdigest()[:16]}.{ending}"
    place = artifacts / FOLDER / name
    if not place.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(place, content)
    return name


def kept(artifacts: Path, name: str) -> Marks:
    """What was kept under a name; boxes are in pixels of the picture's file. Raises UserError where there is nothing."""
    what, todo = "What the model marked then is no longer there.", "Look at what it marks now."
    place = artifacts / FOLDER / name
    if not _NAME.fullmatch(name):
        raise UserError(what, todo, code="no_marks")
    try:
        if name.endswith(".png"):
            with Image.open(place) as mask:
                return Marks(mask=np.array(mask, np.uint8))
        return Marks(boxes=tuple(Mark(str(label), tuple(map(float, box)), sure) for label, box, sure in json.loads(place.read_bytes())))  # type: ignore[arg-type]
    except (OSError, ValueError, TypeError) as error:
        raise UserError(what, todo, code="no_marks") from error
