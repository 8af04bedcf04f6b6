"""Owns what is known of every picture without learning: its size, what it looks like in small, whether it opens at all.

Invariant: a fact is remembered with the size and date of its file, so a file that changed is looked at again.
"""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from loralab.core import paths
from loralab.datasets.images.opened import ORIENTATION, Unreadable, Values, mask_values, opening, rgb, turned
from loralab.datasets.images.place import Place, store

MOST_AT_ONCE = 4  # pictures; each may need 270 MB
THUMB = 16  # side of the small grey copy that near copies are compared by
MOST_VALUES = 300  # that are listed of a mask
_MAKER, _MODEL = 0x010F, 0x0110
_DRAFT = 64  # a JPG is decoded no finer than this needs
_VERSION = 2
_GONE = "gone"  # a file that is not there any more
_EXACT = ("L", "RGB", "RGBA", "LA", "CMYK")  # modes that may be made small before they become RGB


@dataclass(frozen=True)
class Fact:
    """Of a picture: pixels as it is seen (turned upright), what its file is like, and why it is not used, if so."""

    width: int = 0
    height: int = 0
    orientation: int = 1  # EXIF; 5 to 8 exchange width and height
    frames: int = 1
    bytes: int = 0
    crc: int = 0  # CRC-32 of the file
    hash: int = 0  # dHash of 64 bits: whether each of 8 x 8 places is darker than its right neighbour
    brightness: float = 0.0  # 0..1
    camera: str = ""  # maker and model as EXIF says
    thumb: str = ""  # base64 of THUMB x THUMB grey values
    reason: str = ""  # why it is left out; empty where it opens

    @property
    def stored(self) -> tuple[int, int]:
        """Width and height as they lie in the file."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)

    def small(self) -> Values:
        """The grey copy [THUMB, THUMB], 0..255."""
        return np.frombuffer(base64.b64decode(self.thumb), np.uint8).reshape(THUMB, THUMB).astype(np.float32)


@dataclass(frozen=True)
class MaskFact:
    """Of a mask: its size in the file and how many pixels have which value (mask_values); `reason` where it is not used."""

    width: int = 0
    height: int = 0
    values: dict[int, int] = field(default_factory=dict)
    many: bool = False  # more values than are listed
    edge: dict[int, int] = field(default_factory=dict)  # values along its rim
    colours: bool = False
    reason: str = ""


class Facts:
    """Facts of a place's files, looked at when they are first asked for and remembered in the workspace."""

    def __init__(self, place: Place, home: Path | None, *, remember: bool = True) -> None:
        self._place = place
        self._file = store(home) / f"{place.key}.facts.json" if remember else None
        self._pictures: dict[str, tuple[str, Fact]] = {}
        self._masks: dict[str, tuple[str, MaskFact]] = {}
        self._changed = False
        self._load()

    def of(self, name: str) -> Fact:
        """What is known of a picture."""
        mark = self._mark(name)
        known = self._pictures.get(name)
        if known is None or known[0] != mark:
            known = self._pictures[name] = (mark, look(self._place.path(name)))
            self._changed = True
        return known[1]

    def of_mask(self, name: str) -> MaskFact:
        """What is known of a mask."""
        mark = self._mark(name)
        known = self._masks.get(name)
        if known is None or known[0] != mark:
            known = self._masks[name] = (mark, look_at_mask(self._place.path(name)))
            self._changed = True
        return known[1]

    def gather(self, pictures: Sequence[str], masks: Sequence[str] = ()) -> None:
        """Look at many at once, on a few threads (decoding, which is nearly all of it, lets go of Python), and remember."""
        with ThreadPoolExecutor(max(2, min(MOST_AT_ONCE, os.cpu_count() or 2))) as pool:
            list(pool.map(self.of, pictures, chunksize=16))
            list(pool.map(self.of_mask, masks, chunksize=16))
        self.save()

    def save(self) -> None:
        """Remember what was looked at; where the disk does not take it, it is looked at again next time."""
        if self._file is None or not self._changed:
            return
        kept = {
            "version": _VERSION,
            "pictures": {name: [mark, *asdict(fact).values()] for name, (mark, fact) in self._pictures.items() if mark != _GONE},
            "masks": {name: [mark, *asdict(fact).values()] for name, (mark, fact) in self._masks.items() if mark != _GONE},
        }
        with suppress(OSError):
            paths.write_atomic(self._file, json.dumps(kept))
            self._changed = False

    def _mark(self, name: str) -> str:
        try:
            found = self._place.path(name).stat()
        except OSError:
            return _GONE
        return f"{found.st_size} {found.st_mtime_ns}"

    def _load(self) -> None:
        if self._file is None:
            return
        try:
            kept: dict[str, Any] = json.loads(self._file.read_text("utf-8"))
            if kept["version"] != _VERSION:
                return
            named = [one.name for one in fields(Fact)], [one.name for one in fields(MaskFact)]
            for name, (mark, *values) in kept["pictures"].items():
                self._pictures[name] = (mark, Fact(**dict(zip(named[0], values, strict=True))))
            for name, (mark, *values) in kept["masks"].items():
                fact = dict(zip(named[1], values, strict=True))
                for counted in ("values", "edge"):
                    fact[counted] = {int(value): count for value, count in fact[counted].items()}
                self._masks[name] = (mark, MaskFact(**fact))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):  # none yet, or damaged: everything is looked at again
            self._pictures.clear()
            self._masks.clear()


def look(path: Path) -> Fact:
    """What there is to know of a picture file; every pixel is decoded, so that one that is cut short is found."""
    try:
        with opening(path) as image:
            stored, frames = image.size, int(getattr(image, "n_frames", 1))
            orientation, camera = _exif(image)
            image.draft("RGB", (_DRAFT, _DRAFT))
            image.load()
            small = image.resize((2 * THUMB, 2 * THUMB), Image.Resampling.BOX) if image.mode in _EXACT else image
            grey = _grey(rgb(small), orientation)
        raw = path.read_bytes()
    except Unreadable as error:
        return Fact(reason=error.reason)
    except OSError:
        return Fact(reason="It could not be opened.")
    width, height = (stored[1], stored[0]) if orientation >= 5 else stored
    small_grey = grey.resize((THUMB, THUMB), Image.Resampling.BOX)
    nine = np.asarray(grey.resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    bits = (nine[:, :-1] < nine[:, 1:]).ravel()
    return Fact(
        width=width,
        height=height,
        orientation=orientation,
        frames=frames,
        bytes=len(raw),
        crc=zlib.crc32(raw),
        hash=int.from_bytes(np.packbits(bits).tobytes(), "big"),
        brightness=round(float(np.asarray(small_grey).mean()) / 255, 4),
        camera=camera,
        thumb=base64.b64encode(small_grey.tobytes()).decode(),
    )


def look_at_mask(path: Path) -> MaskFact:
    """What there is to know of a mask file."""
    try:
        values = mask_values(path)
        found, counts = np.unique(values, return_counts=True)
    except Unreadable as error:
        return MaskFact(reason=error.reason)
    rim = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    order = np.argsort(-counts, kind="stable")[:MOST_VALUES]
    edge = dict(zip(*(part.tolist() for part in np.unique(rim, return_counts=True)), strict=True))
    return MaskFact(
        width=values.shape[1],
        height=values.shape[0],
        values={int(found[at]): int(counts[at]) for at in sorted(order)},
        many=len(found) > MOST_VALUES,
        edge=edge if len(edge) <= MOST_VALUES else {},
        colours=bool(found.max() > 0xFFFF),
    )


def _grey(image: Image.Image, orientation: int) -> Image.Image:
    """A small upright grey copy."""
    grey = image.convert("L")
    return Image.fromarray(np.ascontiguousarray(turned(np.asarray(grey), orientation))) if orientation != 1 else grey


def _exif(image: Image.Image) -> tuple[int, str]:
    """Orientation, 1..8, and camera as EXIF says; 1 and nothing where it says nothing that makes sense."""
    try:
        exif = image.getexif()
        said, camera = exif.get(ORIENTATION, 1), " ".join(str(exif.get(tag, "")).strip("\0 ") for tag in (_MAKER, _MODEL))
    except Exception:  # noqa: BLE001 - EXIF that cannot be read is as good as none, and fails in any way there is
        return 1, ""
    return (said if isinstance(said, int) and 1 <= said <= 8 else 1), camera.strip()[:60]
