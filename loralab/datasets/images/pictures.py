"""Owns the value that reading pictures gives, and how often what is in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from loralab.core.errors import Problem
from loralab.core.records import Example
from loralab.datasets.dataset import Loaded
from loralab.datasets.images.facts import Fact
from loralab.datasets.images.found import BoxCount, MaskTable
from loralab.datasets.images.likeness import Copies, near_copies


@dataclass(frozen=True)
class Pictures:
    """A data set of pictures. Media and masks of `examples` are named relative to `root`; what has one entry for each is in their order."""

    root: Path
    task: str  # classify | segment | detect | draw
    labels: tuple[str, ...]  # classes in a fixed order; of masks without the background
    examples: tuple[Example, ...]
    loaded: Loaded
    findings: tuple[Problem, ...] = ()
    medical: bool = False
    facts: tuple[Fact, ...] = ()
    sides: tuple[str, ...] = ()  # “learn”, “watch”, “heldout” as the files say, or nothing
    copies: Copies = field(default_factory=lambda: near_copies(()))
    marked: tuple[dict[str, float], ...] = ()  # of masks: label -> share of the picture
    tags: tuple[dict[str, str], ...] = ()  # of medical pictures: what was kept of their entries
    boxes: BoxCount | None = None
    table: MaskTable = field(default_factory=MaskTable)

    def counts(self) -> dict[str, int]:
        """How often each class is there: pictures of it, or boxes; of masks the pictures in which it is marked."""
        counted = Counter(example.label for example in self.examples if example.label is not None)
        counted.update(region.label for example in self.examples if example.target for region in example.target.regions if region.box)
        for shares in self.marked:
            counted.update(label for label, share in shares.items() if share)
        return {label: counted[label] for label in self.labels}
