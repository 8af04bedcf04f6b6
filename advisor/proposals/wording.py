"""Owns how a wish's words tell its kind of task: what is counted of them, and how likely each kind is by the weights in data/wishes.npz.

A multinomial logistic regression over words, pairs of words and pieces of words, with the table of signs as seven more features; fitted by
benchmarks/wishes/fit.py, which counts with the very functions below. Invariants: the same words always give the same shares; which
language, number or accent a wish names tells nothing about its task; without the file the table of signs alone decides.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from advisor.proposals.tongues import without
from loralab.core.paths import DATA

FILE = DATA / "wishes.npz"
BUCKETS = 1 << 15  # features share a place where their sums are equal modulo this; few do, and the fit knows it
PAIR, PIECE = 0.7, 0.4  # what a pair of words and a piece of a word count, against a word
SHORTEST, LONGEST = 3, 5  # letters of a piece, the marks for a word's ends among them
SIGN = 0.1  # what a point in the table of signs counts


def counted(said: str) -> dict[str, float]:
    """Features of a wish in lower case, and what each counts."""
    plain = re.sub(r"\d+", "0", without(said, "LANG"))
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(letter))
    tokens = re.findall(r"[^\W_]+|[?→/:;(){}#+=,]|\.\.\.", plain)
    words = [token for token in tokens if token[0].isalnum()]
    found = {f"w:{word}": 1.0 for word in words}
    around = ["^", *tokens, "$"]
    found |= {f"b:{first} {second}": PAIR for first, second in pairwise(around)}
    for word in words:
        marked = f"<{word}>"
        for size in range(SHORTEST, LONGEST + 1):
            found |= {f"c:{marked[at : at + size]}": PIECE for at in range(len(marked) - size + 1)}
    return found


def placed(said: str) -> tuple[list[int], npt.NDArray[np.float32]]:
    """Places of a wish's features in the weights, and their values, of length one together."""
    found = counted(said)
    values = np.array(list(found.values()), np.float32)
    return [zlib.crc32(name.encode()) % BUCKETS for name in found], values / np.sqrt((values**2).sum())


@dataclass(frozen=True)
class Weights:
    """What each feature says for each kind, in the order of the table of signs."""

    words: npt.NDArray[np.float32]  # [BUCKETS, kinds], in steps of `step`
    signs: npt.NDArray[np.float32]  # [kinds, kinds]
    bias: npt.NDArray[np.float32]  # [kinds]
    sure: float  # share from which it is right nine times in ten
    step: float = 1.0

    def shares(self, said: str, scores: Sequence[float]) -> npt.NDArray[np.float32]:
        """How likely each kind is. `scores`: points in the table of signs."""
        raw = self.bias + (SIGN * np.array(scores, np.float32)) @ self.signs
        if len(self.words):
            places, values = placed(said)
            raw = raw + self.step * (values @ self.words[places])
        shares = np.exp(raw - raw.max())
        return shares / shares.sum()


@lru_cache
def weights(kinds: int, file: Path = FILE) -> Weights:
    """The weights that are shipped; without them ten points in the table make a kind as sure as can be."""
    if not file.exists():
        return Weights(np.zeros((0, kinds), np.float32), np.eye(kinds, dtype=np.float32) / SIGN, np.zeros(kinds, np.float32), 0.8)
    with np.load(file, allow_pickle=False) as found:
        return Weights(found["words"], found["signs"], found["bias"], float(found["sure"]), float(found["step"]))
