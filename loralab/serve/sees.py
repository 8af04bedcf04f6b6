"""Owns the app's end of trying a model on a picture: a child process that looks at it, and what it says of it. No torch here.

Invariants: the child is started on demand, ends with this process (its input closes) or after a while of quiet, and is killed when it does
not answer in time; nothing of a picture is kept or sent; whatever goes wrong is a LabError in words.
"""

from __future__ import annotations

import contextlib
import io
import threading
import weakref
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from loralab.core.child_process import Child
from loralab.core.errors import LabError, RunFailed
from loralab.core.records import Record
from loralab.core.words import listed
from loralab.datasets.images.clinic.any_picture import any_picture
from loralab.datasets.images.drawn import Mark, Marks, colours
from loralab.datasets.images.shown import sketch, uri, webp

START_SECONDS, ANSWER_SECONDS = 180.0, 120.0  # torch from a slow disk; a large picture on a busy machine
IDLE_SECONDS = 120.0  # after which the child lets go of its memory
MOST_BARS = 5  # classes that are told; the likeliest first
SIDE = 640  # pixels of the longer side of what is drawn
TODO = "Try it again; where it happens again, restart LoRALab."


class Said(Record):
    """What a model says of a picture."""

    words: str
    unsure: bool = False  # it had better say that it does not know
    chances: tuple[tuple[str, float], ...] = ()  # classes with how likely they are, the likeliest first
    counts: tuple[tuple[str, int], ...] = ()  # kinds of things that were found, with how many
    shares: tuple[tuple[str, float], ...] = ()  # what is marked, with its share of the picture
    drawing: str = ""  # the picture with it, as a data URI; empty where there is nothing to draw


class Looked(Record):
    """A picture that was looked at: what is said of it now, and what was said before the model itself learned."""

    task: str
    drawing: str  # the picture as it is, as a data URI
    after: Said
    before: Said
    labels: tuple[str, ...]
    knows_before: bool = True  # `before` is the quick look; else the adapter is only switched off
    medical: bool = False

    @property
    def key(self) -> tuple[tuple[str, str], ...]:
        """Which colour is which class, where something is drawn."""
        return tuple(colours(self.labels).items()) if self.after.drawing else ()


class Eyes:
    """The child process. Making one costs nothing; one picture is looked at at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: Child | None = None

    def look(self, base: Path, adapter: Path, image: Path, side: int = SIDE) -> Looked:
        """What the model of an adapter's folder says of a picture. Raises UserError for no picture, LabError where it cannot be asked."""
        opened = any_picture(image)
        with self._lock:
            answer, masks = self._ask(base, adapter, image)
        opened.thumbnail((2 * side, 2 * side))  # words and lines are made for what is shown
        labels, sides = tuple(answer["labels"]), _masks(answer, masks)
        said = {which: _said(opened, answer, answer[which], sides.get(which), labels, side) for which in ("after", "before")}
        plain = uri(webp(sketch(opened, Marks(), labels, side)))
        return Looked(
            task=answer["task"], drawing=plain, labels=labels, knows_before=answer["knows_before"], medical=answer["medical"], **said
        )

    def marks(self, base: Path, adapter: Path, image: Path) -> Marks:
        """What the model marks in a picture, in its own pixels, to be drawn beside what a person marked. Raises as `look` does."""
        with self._lock:
            answer, masks = self._ask(base, adapter, image)
        return _marks(answer["after"], _masks(answer, masks).get("after"))

    def why(self, base: Path, adapter: Path, image: Path) -> Image.Image:
        """How much each place of a picture speaks for the class that is said of it: grey, white the most. Raises as `look` does."""
        with self._lock, self._asked() as child:
            return Image.open(io.BytesIO(child.ask("why", base=str(base), adapter=str(adapter), image=str(image))[1]))

    @property
    def alive(self) -> bool:
        """Whether the child runs now."""
        return self._child is not None and self._child.alive

    def close(self) -> None:
        """Let the child go; the next picture starts another."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def _ask(self, base: Path, adapter: Path, image: Path) -> tuple[dict[str, Any], bytes]:
        with self._asked() as child:
            answer = child.ask("look", base=str(base), adapter=str(adapter), image=str(image))[0]
            return answer, child.ask("masks")[1] if answer["task"] == "segment" else b""

    @contextlib.contextmanager
    def _asked(self) -> Generator[Child]:
        """The child, started where there is none. What goes wrong while it is asked is a RunFailed in words."""
        child = self._child
        try:
            if child is None or not child.alive:
                self._end()
                self._child = child = _started()
                weakref.finalize(self, child.close)
            child.seconds = ANSWER_SECONDS
            yield child
        except LabError as error:
            if error.problem.code == "eyes_refused":
                raise RunFailed(
                    "The model could not look at this picture.", error.problem.what.splitlines()[0][:300], code="not_seen"
                ) from error
            self._end()
            raise RunFailed("The model's process ended while it looked.", TODO, code="eyes_gone") from error


def _started() -> Child:
    child = Child(
        "loralab.serve.sees_job", str(IDLE_SECONDS), name="The model", code="eyes", todo=TODO, environment={"HF_HUB_OFFLINE": "1"}
    )
    child.seconds = START_SECONDS
    return child


# ---- what was said -----------------------------------------------------------------------------------------------------------


def _masks(answer: dict[str, Any], payload: bytes) -> dict[str, Any]:
    """The masks that came behind an answer, each [height, width]; 0 is the background, i the i-th label."""
    if not payload:
        return {}
    height, width = answer["size"]
    both = np.frombuffer(payload, np.uint8).reshape(2, height, width)
    return {"after": both[0], "before": both[1]}


def _marks(said: dict[str, Any], mask: Any, factor: float = 1.0) -> Marks:
    boxes = tuple(Mark(label, tuple(factor * value for value in box), sure) for label, box, sure in said.get("boxes", ()))  # type: ignore[arg-type]
    return Marks(boxes=boxes, mask=mask)


def _said(opened: Image.Image, answer: dict[str, Any], said: dict[str, Any], mask: Any, labels: tuple[str, ...], side: int) -> Said:
    match answer["task"]:
        case "classify":
            chances = sorted(zip(labels, said["chances"], strict=True), key=lambda pair: -pair[1])
            unsure = chances[0][1] < answer["unsure_below"]
            return Said(words="I do not know" if unsure else chances[0][0], unsure=unsure, chances=tuple(chances[:MOST_BARS]))
        case "segment":
            shares = tuple((label, float((mask == k).mean())) for k, label in enumerate(labels, start=1))
            there = [_percent(share) if len(labels) == 1 else f"{label} {_percent(share)}" for label, share in shares if share]
            words = f"{there[0]} of it is marked" if there and len(labels) == 1 else listed(there) or "nothing marked"
            drawing = uri(webp(sketch(opened, Marks(mask=mask), labels, side)))
            return Said(words=words, shares=shares, drawing=drawing)
        case _:
            counted = Counter(label for label, _, _ in said["boxes"])
            counts = tuple((label, counted[label]) for label in labels if counted[label])
            marked = _marks(said, None, opened.width / answer["size"][1])
            drawing = uri(webp(sketch(opened, marked, labels, side)))
            return Said(words=listed([f"{n} × {label}" for label, n in counts]) or "nothing found", counts=counts, drawing=drawing)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "less than 1 %"
