"""Owns the pictures. Invariant: a chart shows the raw numbers; a smoothed line is drawn over them, never instead of them."""

from __future__ import annotations

from loralab.core.records import DatasetProfile, Footprint
from loralab.lab import disk_words, stage_words
from ui.markup import draw
from ui.words import count

PART_NAMES = {
    "weights": "the model itself",
    "adapter": "the adapter",
    "optimiser": "notes for learning",
    "activations": "work space for the examples",
    "head": "choosing the next word",
    "reserve": "the program, and a reserve",
}


def memory_bar(footprint: Footprint) -> str:
    """Footprint as one stacked bar: what each part needs, against what is free."""
    whole = max(footprint.memory_bytes, footprint.free_bytes, 1)
    segments = [
        {"name": PART_NAMES.get(name, name), "bytes": value, "share": 100 * value / whole}
        for name, value in footprint.parts.items()
        if value > 0
    ]
    said = f"{stage_words(footprint)} {disk_words(footprint)}".strip()
    over = footprint.memory_bytes > footprint.free_bytes
    return draw("dataset", "memory", footprint.memory_bytes, footprint.free_bytes, over, segments, said)


def length_bar(profile: DatasetProfile) -> str:
    """How long the examples are: the typical one, nine of ten, and the longest, on one scale."""
    marks = (("p50", "half are shorter than this"), ("p90", "9 of 10"), ("p99", "99 of 100"), ("max", "the longest"))
    longest = profile.tokens.get("max", 0)
    if not longest:
        return ""
    rows = [_bar(words, profile.tokens.get(key, 0), longest) for key, words in marks]
    return draw("dataset", "bars", "Length in tokens", rows, "")


def label_bar(labels: dict[str, int], most: int = 8, title: str = "Labels") -> str:
    """The commonest labels and how many examples each has."""
    top = sorted(labels.items(), key=lambda item: -item[1])
    largest = max((n for _, n in top), default=1)
    rows = [_bar(name, n, largest) for name, n in top[:most]]
    more = f"and {count(len(top) - most, 'more label')}" if len(top) > most else ""
    return draw("dataset", "bars", title, rows, more) if rows else ""


def _bar(words: str, value: int, largest: int) -> tuple[str, int, float]:
    return words, value, max(1.0, 100 * value / largest)
