"""Which known questions are nearest to one that is not understood. Invariant: no model; the same words always give the same order."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

MOST = 3  # that are offered
SURE, FAR = 0.5, 0.25  # of likeness: from here on it is answered at once; below the other it is none of these
STEM = 5  # letters by which two words are taken for one
EMPTY = re.compile(r"what|does|mean|the|this|that|how|why|did|can|could|would|should|its|are|was|you|your|for|and|with|there|have|has|now")


def nearest(question: str, known: Sequence[str]) -> list[str]:
    """The known questions, the most alike first, at most three."""
    return sorted(known, key=lambda one: (-likeness(question, one), known.index(one)))[:MOST]


def likeness(one: str, other: str) -> float:
    """From 0 to 1: the share of telling words they have in common, and a little for how they are written."""
    a, b = _stems(one), _stems(other)
    common = len(a & b) / max(1, min(len(a), len(b)))
    return 0.8 * common + 0.2 * difflib.SequenceMatcher(None, one.lower(), other.lower()).ratio()


def _stems(text: str) -> set[str]:
    return {word[:STEM] for word in re.findall(r"[^\W\d_]+", text.lower()) if len(word) > 2 and not EMPTY.fullmatch(word)}
