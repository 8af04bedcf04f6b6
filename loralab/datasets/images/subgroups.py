"""Owns by what pictures of a data set may be told apart beside what they show: where they came from, how large they are, whose they are.

Invariant: what tells the class itself is no group; a fact that nobody knows of a picture is empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from loralab.core.records import Example
from loralab.datasets.images.facts import Fact
from loralab.datasets.images.names import folders_of, plain, side_of
from loralab.datasets.images.pictures import Pictures

FEW_SIZES = 6  # different sizes that are told one by one; of more, thirds are
_HOLDERS = frozenset(("images", "image", "jpegimages", "pictures", "photos", "data", "dataset", "img", "imgs"))


def subgroups(pictures: Pictures, examples: Sequence[Example]) -> dict[str, list[str]]:
    """By the name of what tells them apart, a value for each example: “folder”, “size”, “camera”, and entries of medical pictures."""
    facts = [pictures.facts[example.row - 1] for example in examples]
    tags = [pictures.tags[example.row - 1] if pictures.tags else {} for example in examples]
    labels = {plain(label) for label in pictures.labels}
    found = {
        "folder": [] if pictures.medical else [_folder(example, labels) for example in examples],
        "size": _sizes(facts, pictures.facts),
        "camera": [fact.camera for fact in facts],
        **{name: [one.get(name, "") for one in tags] for name in sorted({name for one in tags for name in one})},
    }
    return {name: values for name, values in found.items() if len(set(values) - {""}) > 1}


def _folder(example: Example, labels: set[str]) -> str:
    """The folders of a picture but for those that say its class, its side, or that there are pictures in them."""
    kept = [folder for folder in folders_of(example.source) if not side_of(folder) and plain(folder) not in labels | _HOLDERS]
    return str(PurePosixPath(*kept)) if kept else ""


def _sizes(facts: Sequence[Fact], all_facts: Sequence[Fact]) -> list[str]:
    """Width and height, or in which third of all pictures by area."""
    if len({(fact.width, fact.height) for fact in all_facts}) <= FEW_SIZES:
        return [f"{fact.width} × {fact.height}" for fact in facts]
    areas = sorted(fact.width * fact.height for fact in all_facts)
    low, high = areas[len(areas) // 3], areas[2 * len(areas) // 3]
    words = ("the smallest third", "the middle third", "the largest third")
    return [words[(area >= low) + (area >= high)] for area in (fact.width * fact.height for fact in facts)]
