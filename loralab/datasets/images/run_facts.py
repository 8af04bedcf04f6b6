"""Owns the facts about pictures that failures have been seen to depend on: their sizes, what is in them, and which side they are on.

No torch: the app measures them before a run, the worker notes the same of what it really learns from, and the advisor reads only these.
Invariant: counts are of the pictures that are learned from, but where a name says otherwise.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from loralab.core.facts import TINY_PIXELS, Facts
from loralab.core.records import Example
from loralab.datasets.images.checks import shortcuts
from loralab.datasets.images.door import parts
from loralab.datasets.images.parts import Parts
from loralab.datasets.images.pictures import Pictures
from loralab.datasets.images.views import input_size

SHOWN = 50  # rows behind a count
MOST_CLASSES = 500  # that are listed with how often they are there, the rarest first
OBLONG = 3.0  # times as long as wide
FULL = 0.95  # of a picture, from which on it is marked nearly everywhere
SMALL = 10  # per cent of the things that are smaller than `small_side`


class PicturePlan(Protocol):
    """What facts need to know of a plan for pictures."""

    @property
    def image_size(self) -> int: ...
    @property
    def heldout_share(self) -> float: ...
    @property
    def seed(self) -> int: ...
    @property
    def guessed(self) -> bool: ...


@dataclass
class _Things:
    """Boxes and marked areas while they are counted."""

    of_class: Counter[str] = field(default_factory=Counter[str])
    shares: list[float] = field(default_factory=list[float])  # shorter side of each thing, by its picture's longer side
    tiny: int = 0
    rows: list[int] = field(default_factory=list[int])  # of pictures with a tiny thing
    marked: list[float] = field(default_factory=list[float])  # of each picture with masks

    def add(self, label: str, across: float, down: float, longer: int, scale: float) -> bool:
        """Count a thing of `across` by `down` pixels in a picture shown `scale` times as large; whether it is tiny then."""
        self.of_class[label] += 1
        self.shares.append(min(across, down) / max(1, longer))
        small = min(across, down) * scale < TINY_PIXELS
        self.tiny += small
        return small


def of_plan(pictures: Pictures, plan: PicturePlan) -> Facts:
    """The facts of a plan before it runs. Raises UserError where a mask cannot be read."""
    found = of_pictures(pictures, parts(pictures, plan.heldout_share, plan.seed), plan.image_size)
    drawn = of_drawing(pictures, parts(pictures, plan.heldout_share, plan.seed), str(getattr(plan, "trigger", "")))
    return Facts.model_validate(found | drawn | {"guessed": plan.guessed})


def of_drawing(pictures: Pictures, divided: Parts, trigger: str) -> dict[str, int]:
    """What the captions and shapes of the learned pictures are, where they teach to draw; else nothing."""
    if pictures.task != "draw":
        return {}
    said = [" ".join(example.text.casefold().split()) for example in divided.learn]
    shapes = [(pictures.facts[example.row - 1].width, pictures.facts[example.row - 1].height) for example in divided.learn]
    return {
        "captions": len({words for words in said if words}),
        "uncaptioned": sum(not words for words in said),
        "said_trigger": sum(trigger.casefold() in words.split() for words in said),
        "oblong": sum(max(shape) > OBLONG * min(shape) for shape in shapes),
    }


def of_pictures(pictures: Pictures, divided: Parts, image_size: int) -> dict[str, Any]:
    """The part of the facts that the pictures give. `image_size`: longer side of what the model looks at, in pixels."""
    sizes = [(fact.width, fact.height) for fact in pictures.facts]
    width, height = input_size(sizes, image_size)
    learned, area = divided.learn, width * height
    rows = _rows(pictures, divided)
    things = _counted(pictures, learned, (width, height))
    blank = [example.row for example, share in zip(learned, things.marked, strict=False) if not share]
    filled = [example.row for example, share in zip(learned, things.marked, strict=False) if share > FULL]
    rows |= {"tiny": things.rows, "blank": blank, "filled": filled}
    rarest = sorted(((label, things.of_class[label]) for label in pictures.labels), key=lambda one: one[1])[:MOST_CLASSES]
    return {
        "n_train": len(learned),
        "n_watched": len(divided.watch),
        "n_heldout": len(divided.heldout),
        "apart": len(divided.aside),
        "unit": "pixels",
        "tokens": {"p50": area, "max": area, "total": area * len(learned), "learned": area * len(learned)},
        "classes": len(pictures.labels),
        "sides": _quantiles([max(size) for size in sizes]),
        "of_class": dict(rarest),
        "things": len(things.shares),
        "tiny": things.tiny,
        "small_side": round(float(np.percentile(things.shares, SMALL)), 5) if things.shares else 0.0,
        "marked_share": round(float(np.median(things.marked)), 5) if things.marked else 0.0,
        "shortcuts": tuple(problem.what for problem in shortcuts.check(pictures)),
        "medical": pictures.medical,
        "rows": {name: tuple(found[:SHOWN]) for name, found in rows.items() if found},
        **{name: len(rows[name]) for name in ("near_shared", "group_shared", "two_classes", "blank", "filled")},
    }


def _rows(pictures: Pictures, divided: Parts) -> dict[str, list[int]]:
    """Rows of held-out pictures that are too much like what is learned from, and of those that are there with two classes."""
    same = pictures.copies.same.tolist()
    known = {same[example.row - 1] for example in (*divided.learn, *divided.watch)}
    groups = {example.group for example in (*divided.learn, *divided.watch) if example.group}
    labels: defaultdict[int, set[str | None]] = defaultdict(set)
    for example, number in zip(pictures.examples, same, strict=True):
        labels[number].add(example.label)
    return {
        "near_shared": [example.row for example in divided.heldout if same[example.row - 1] in known],
        "group_shared": [example.row for example in divided.heldout if example.group in groups],
        "two_classes": [e.row for e, number in zip(pictures.examples, same, strict=True) if len(labels[number]) > 1],
    }


def _counted(pictures: Pictures, learned: Sequence[Example], size: tuple[int, int]) -> _Things:
    """How often each class is there, and how large what is marked is for the model, which looks at pictures in an input of `size`."""
    found = _Things()
    for example in learned:
        fact = pictures.facts[example.row - 1]
        scale = min(size[0] / max(1, fact.width), size[1] / max(1, fact.height))
        longer = max(fact.width, fact.height)
        small = False
        if example.label is not None:
            found.of_class[example.label] += 1
        for region in example.target.regions if example.target and not pictures.marked else ():
            if region.box:
                left, top, right, bottom = region.box
                small |= found.add(region.label, right - left, bottom - top, longer, scale)
        if pictures.marked:
            shares = pictures.marked[example.row - 1]
            found.marked.append(min(1.0, sum(shares.values())))
            for label, share in shares.items():
                side = (share * fact.width * fact.height) ** 0.5  # of a square that is as large
                small |= bool(share) and found.add(label, side, side, longer, scale)
        if small:
            found.rows.append(example.row)
    return found


def _quantiles(values: Sequence[int]) -> dict[str, int]:
    ranked = sorted(values)
    return {f"p{rank}": ranked[max(0, -(-rank * len(ranked) // 100) - 1)] for rank in (10, 50, 90)}
