"""Owns the space: texts as TF-IDF weights of their words, and as directions of fewer dimensions by a truncated SVD. numpy alone.

tf-idf = (1 + log tf) * log((1 + n) / (1 + df)) + 1, rows of length 1 (as in scikit-learn); the SVD by random projection with two power
iterations (Halko, Martinsson, Tropp 2011). Invariants: the same texts give the same space; memory grows with the words there are, never
with texts times words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

DIMENSIONS = 96
MOST_TEXTS, MOST_WORDS = 50_000, 400  # texts; words of each that are looked at
_MOST_TERMS = 60_000
_BLOCK, _FEW = 128, 20  # texts that are held against all others at once; pairs of each that are told
_SLICE = 2_000_000  # numbers held at once in a product
_WORD = re.compile(r"[^\W_]{2,}|\d")
_STOP_TEXT = (
    "the a an and or of to in on at by for with from as is are was were be been it its this that these those which who what "
    "when where how why do does did has have had not no but if then than so can could will would may might must shall should "
    "he she they we you i his her their our your my me him them us there here about into over under between also more most "
    "other some any all each such only very one two per via der die das und oder von zu in im am ein eine einer eines ist "
    "sind war waren mit für auf aus bei nach nicht auch wie als dem den des le la les un une des et ou de du en est sont dans "
    "pour par sur avec que qui ce cette el los las una y o del es son para por con se lo"
)
STOP = frozenset(_STOP_TEXT.split())


@dataclass(frozen=True)
class Sparse:
    """Rows of numbers, most of them zero: of row i those from `starts[i]` to `starts[i + 1]`, in `columns`."""

    starts: Ints
    columns: Ints
    values: Floats
    width: int

    @property
    def height(self) -> int:
        return len(self.starts) - 1

    @cached_property
    def rows(self) -> Ints:
        return np.repeat(np.arange(self.height), np.diff(self.starts))

    def times(self, dense: Floats) -> Floats:
        """This times a matrix of `width` rows."""
        return _summed(dense, self.columns, self.values, self.rows, self.height)

    def turned(self) -> Sparse:
        """Columns as rows."""
        order = np.argsort(self.columns, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(self.columns, minlength=self.width))])
        return Sparse(starts, self.rows[order], self.values[order], self.height)


def _summed(dense: Floats, take: Ints, weights: Floats, into: Ints, height: int) -> Floats:
    """Rows of `dense` times weights, added up into `height` rows; `into` never falls."""
    made = np.zeros((height, dense.shape[1]), np.float32)
    step = max(1, _SLICE // max(1, dense.shape[1]))
    for at in range(0, len(take), step):
        part = slice(at, at + step)
        rows = into[part]
        heads = np.flatnonzero(np.concatenate([[True], rows[1:] != rows[:-1]]))
        made[rows[heads]] += np.add.reduceat(dense[take[part]] * weights[part, None], heads)
    return made


def words(text: str) -> list[str]:
    """The words that count, in small letters; “lamps” and “lamp” are one."""
    found = _WORD.findall(text.casefold())[:MOST_WORDS]
    return [word[:-1] if len(word) > 4 and word.endswith("s") and not word.endswith("ss") else word for word in found if word not in STOP]


class Space:
    """The space of some texts. Others can be placed in it."""

    def __init__(self, texts: Sequence[str], dimensions: int = DIMENSIONS) -> None:
        counted = [Counter(words(text)) for text in texts[:MOST_TEXTS]]
        spread = Counter(word for one in counted for word in one)
        terms = [word for word, _ in spread.most_common(_MOST_TERMS)]
        self.terms = terms
        self._known = {word: at for at, word in enumerate(terms)}
        n = len(counted)
        self.idf = np.array([np.log((1 + n) / (1 + spread[word])) + 1 for word in terms], np.float32)
        self.weights = self._weighed(counted)
        self._turn = (
            self._svd(min(dimensions, max(1, n - 1), max(1, len(terms) - 1))) if n and terms else np.zeros((len(terms), 1), np.float32)
        )
        self.vectors = _unit(self.weights.times(self._turn)) if terms else np.zeros((n, 1), np.float32)

    def _weighed(self, counted: Sequence[Counter[str]]) -> Sparse:
        columns, values, sizes = list[int](), list[float](), list[int]()
        for one in counted:
            known = [(self._known[word], times) for word, times in one.items() if word in self._known]
            weights = [(1 + np.log(times)) * self.idf[at] for at, times in known]
            length = float(np.sqrt(sum(weight * weight for weight in weights))) or 1.0
            columns += [at for at, _ in known]
            values += [weight / length for weight in weights]
            sizes.append(len(known))
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64) if sizes else np.zeros(1, np.int64)
        return Sparse(starts, np.array(columns, np.int64), np.array(values, np.float32), len(self.terms))

    def _svd(self, dimensions: int) -> Floats:
        """The directions (terms x dimensions) in which the texts differ most."""
        turned = self.weights.turned()
        random = np.random.default_rng(0).standard_normal((len(self.terms), dimensions + 8)).astype(np.float32)
        found = self.weights.times(random)
        for _ in range(2):
            found = self.weights.times(np.linalg.qr(turned.times(np.linalg.qr(found)[0]))[0])
        base = np.linalg.qr(found)[0]
        small = turned.times(base).T  # base^T A
        _, _, right = np.linalg.svd(small, full_matrices=False)
        return np.ascontiguousarray(right[:dimensions].T, np.float32)

    def place(self, texts: Sequence[str]) -> Floats:
        """Directions of other texts; zeros for one without a word that is known."""
        return _unit(self._weighed([Counter(words(text)) for text in texts]).times(self._turn))

    def search(self, query: str, most: int = 10) -> list[tuple[int, float]]:
        """Places of the texts that fit a query best, with their likeness: its own words count for half, what goes with them for the
        other.
        """
        if not self.terms or not self.weights.height:
            return []
        asked = self._weighed([Counter(words(query))])
        dense = np.zeros((len(self.terms), 1), np.float32)
        dense[asked.columns, 0] = asked.values
        exact = self.weights.times(dense)[:, 0]
        score = 0.5 * exact + 0.5 * (self.vectors @ _unit(asked.times(self._turn))[0])
        order = np.argsort(-score, kind="stable")[:most]
        return [(int(at), float(score[at])) for at in order if score[at] > 0.02]

    def alike(self, least: float) -> Iterator[tuple[int, int]]:
        """Pairs (earlier, later) of texts whose TF-IDF is that much alike; of each later one at most the first few."""
        for start in range(0, self.weights.height, _BLOCK):
            part = np.zeros((len(self.terms), min(_BLOCK, self.weights.height - start)), np.float32)
            held = slice(int(self.weights.starts[start]), int(self.weights.starts[start + part.shape[1]]))
            part[self.weights.columns[held], self.weights.rows[held] - start] = self.weights.values[held]
            near = self.weights.times(part)
            for column in range(part.shape[1]):
                for other in np.flatnonzero(near[: start + column, column] >= least)[:_FEW]:
                    yield int(other), start + column

    def exact(self, one: int, other: int) -> float:
        """Cosine of two texts by TF-IDF itself."""
        first, second = (dict(zip(*self._row(at), strict=True)) for at in (one, other))
        return float(sum(weight * second.get(term, 0.0) for term, weight in first.items()))

    def _row(self, at: int) -> tuple[list[int], list[float]]:
        part = slice(int(self.weights.starts[at]), int(self.weights.starts[at + 1]))
        return self.weights.columns[part].tolist(), self.weights.values[part].tolist()


def _unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 1e-9, lengths, 1)).astype(np.float32)
