"""Owns pictures of a data set as a page shows them: small, with what is known or said of them drawn in, as text that stands in the page.

Invariant: only pictures of the data set are opened, by the names that it gave them. One that cannot be opened any more is no picture and no
error: what is said beside it stands.
"""

from __future__ import annotations

import base64
import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from loralab.core.errors import UserError
from loralab.core.records import Example
from loralab.datasets.images.door import Pictures, load_pictures, mask_of
from loralab.datasets.images.drawn import Mark, Marks, colours, drawn, marks
from loralab.datasets.images.heat import heated
from loralab.datasets.images.opened import picture
from loralab.datasets.images.views import draw, input_size, seen

SMALL, LARGE = 240, 480  # pixels of the longer side: in a sheet of many, and alone
QUALITY = 82  # of WebP, which keeps what is transparent
KEPT = 600  # drawings remembered of a data set; each is some kilobytes
MOST_OPEN = 4  # data sets


class Gallery:
    """The pictures of a data set by their names, ready for a page."""

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures
        self.task, self.labels, self.medical = pictures.task, pictures.labels, pictures.medical
        self._by_name = {example.media[0]: example for example in pictures.examples}
        self._drawings: OrderedDict[tuple[object, ...], bytes] = OrderedDict()

    @property
    def key(self) -> tuple[tuple[str, str], ...]:
        """Each class with its colour, where colours tell classes apart in the drawings; nothing where pictures have a class as a whole."""
        return tuple(colours(self.labels).items()) if self.task != "classify" else ()

    @property
    def sizes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Width and height of the usual picture, and of the largest, in pixels."""
        ranked = sorted((fact.width * fact.height, fact.width, fact.height) for fact in self.pictures.facts)
        return ranked[len(ranked) // 2][1:], ranked[-1][1:]

    def label(self, name: str) -> str:
        """What a picture as a whole is of; empty where that is not said."""
        known = self._by_name.get(name)
        return known.label or "" if known else ""

    def caption(self, name: str) -> str:
        """What a picture shows in words; empty where that is not said."""
        known = self._by_name.get(name)
        return known.text if known else ""

    def path(self, name: str) -> Path | None:
        """Where a picture of the data set lies."""
        return self.pictures.root / name if name in self._by_name else None

    def drawn(self, name: str, side: int = SMALL) -> bytes:
        """A picture as WebP, its longer side so many pixels, with what the file says is in it; nothing where there is none."""
        example = self._by_name.get(name)
        return b"" if example is None else self._kept((name, side), lambda: self._marked(example, side))

    def beside(self, name: str, said: Callable[[], Marks], side: int = SMALL, told: object = "") -> bytes:
        """The same picture with what a model says is in it; `told` tells the model from others, so that it is asked once."""
        example = self._by_name.get(name)
        return b"" if example is None else self._kept((name, side, told), lambda: sketch(self._open(example), said(), self.labels, side))

    def heated(self, name: str, heat: Callable[[], Image.Image], side: int = SMALL, told: object = "") -> bytes:
        """The same picture with the places washed over that spoke for what a model says; `heat`: grey, white the most."""
        example = self._by_name.get(name)
        return b"" if example is None else self._kept((name, side, "why", told), lambda: heated(self._open(example), heat(), side))

    def as_seen(self, name: str, side: int, preset: str, n: int, shown: int = SMALL) -> tuple[str, ...]:
        """What a model reads of a picture in an input of that size: as it is, then `n` of the ways in which it is varied."""
        example = self._by_name.get(name)
        if example is None:
            return ()
        size = input_size([(fact.width, fact.height) for fact in self.pictures.facts] or [(side, side)], side)
        try:
            image, mask = self._open(example), self._mask(example)
        except UserError:
            return ()
        regions = [region for region in (example.target.regions if example.target else ()) if region.box]
        views = [None, *(draw(preset, np.random.default_rng([k, example.row]), size) for k in range(n))]
        found: list[str] = []
        for view in views:
            one = seen(image, size, view, mask, np.array([region.box for region in regions], np.float64).reshape(-1, 4))
            boxes = tuple(Mark(regions[at].label, box) for at, box in zip(one.kept.tolist(), map(tuple, one.boxes.tolist()), strict=True))
            found.append(uri(webp(sketch(Image.fromarray(one.pixels), Marks(boxes=boxes, mask=one.mask), self.labels, shown))))
        return tuple(found)

    def _kept(self, key: tuple[object, ...], make: Callable[[], Image.Image]) -> bytes:
        """A drawing, made once; nothing where its picture was moved or damaged since."""
        found = self._drawings.get(key)
        if found is None:
            try:
                found = webp(make())
            except UserError:
                return b""
            self._drawings = OrderedDict([*self._drawings.items(), (key, found)][-KEPT:])  # anew: several windows ask at once
        return found

    def _marked(self, example: Example, side: int) -> Image.Image:
        what = marks(example, self._mask(example))
        return sketch(self._open(example), Marks(boxes=what.boxes, mask=what.mask), self.labels, side)

    def _open(self, example: Example) -> Image.Image:
        return picture(self.pictures.root / example.media[0])

    def _mask(self, example: Example) -> npt.NDArray[np.uint8] | None:
        return mask_of(self.pictures, example) if self.task == "segment" else None


class Galleries:
    """The data sets whose pictures were shown last. Several windows ask at once."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._open: OrderedDict[tuple[object, ...], Gallery] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, path: Path, roles: Mapping[str, str] | None = None) -> Gallery:
        """The pictures of a file or folder as it is now. Raises UserError where there are none any more."""
        if not path.exists():
            raise UserError("The pictures are no longer where they were.", "Choose them again on the first page.", code="no_dataset")
        key = (str(path), path.stat().st_mtime, tuple(sorted((roles or {}).items())))
        with self._lock:
            if key not in self._open:
                self._open[key] = Gallery(load_pictures(path, self.home, roles))
                while len(self._open) > MOST_OPEN:
                    self._open.popitem(last=False)
            self._open.move_to_end(key)
            return self._open[key]


def sketch(image: Image.Image, what: Marks, labels: Sequence[str], side: int) -> Image.Image:
    """A picture with what is in it, without the legend under it: a page says once which colour is what."""
    whole = drawn(image, what, colours(labels), side)
    return whole.crop((0, 0, whole.width, min(whole.height, max(1, round(image.height * side / max(image.size))))))


def webp(image: Image.Image) -> bytes:
    """A picture as it is sent."""
    written = io.BytesIO()
    image.save(written, "WEBP", quality=QUALITY, method=2)
    return written.getvalue()


def uri(picture: bytes) -> str:
    """A picture as text that a page shows without asking for a file; empty where there is none."""
    return f"data:image/webp;base64,{base64.b64encode(picture).decode('ascii')}" if picture else ""
