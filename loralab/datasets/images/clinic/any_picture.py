"""Owns opening a single picture to be looked at, whether a photo or a file of a clinic. Nothing of it is kept.

Invariant: of a file of a clinic only the picture comes out: no entry of it is read that says whom it is of.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from loralab.datasets.images.clinic import dicom
from loralab.datasets.images.opened import Unreadable, picture, rgb

_HEAD = 132  # bytes up to the mark of DICOM


def any_picture(path: Path) -> Image.Image:
    """The picture as RGB, upright. Raises UserError where it is none, or where the part that opens medical pictures is not here."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise Unreadable(path.name, "It could not be opened.") from error
    if not dicom.is_dicom(path.name, head):
        return picture(path)
    return rgb(Image.fromarray(dicom.opened(path.read_bytes()).pixels))
