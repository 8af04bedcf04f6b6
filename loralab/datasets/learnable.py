"""Owns whether answers can be learned from their questions at all, tried in a second or two without any model.

Two simple learners are cross-validated on the questions' words and stretches of letters: the answer of the nearest other question, and a
linear one (kernel ridge regression, whose leave-one-out answers come in closed form; Allen 1974). The same is done with the answers dealt
out in other orders. What does no better than those orders foretells nothing: hashes, shuffled answers, classes of which half are backwards.
Sums and riddles foretell nothing either and can still be learned by a model that knows how: so it is never said alone that a file is bad.

Invariants: at most LOOK pairs, spread over the file; the same file gives the same numbers; each question counts once, so that copies do not
foretell each other.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from loralab.core.records import Example

LOOK = 300  # pairs
FEWEST = 40  # pairs, or there is nothing to tell
ORDERS = 40  # other orders of the answers that are tried
WIDTH, ANSWER_WIDTH = 4096, 512  # numbers a question and an answer are made into
LETTERS, MOST_LETTERS = 4, 400
RIDGE = 0.3  # of the linear learner, as a share of the mean of its kernel
FEW_ANSWERS = 30  # different answers, each REUSED times on average: classes, of which only the very one is right
REUSED = 3
CLOSE, APART = 0.6, 0.3  # likeness of two questions that ask the same, and of two answers that are not the same
FEWEST_CLOSE = 12  # questions that have one alike, or the share of those with another answer says nothing
HASHES = 0.5  # of the answers, from which on they are taken for codes without words
_CODE = re.compile(r"[0-9a-f]{16,}|[A-Za-z0-9+/_-]{20,}={0,2}", re.IGNORECASE)
_NUMBER = re.compile(r"[^\w]*-?\d[\d.,:/ ]*(?:\W{0,3}\w{0,4}|\W{1,3}[^\W\d_]{1,14})\W{0,2}")  # and what it counts: “7 words.”
HALF = 20  # rows of a class that both halves have, or the halves are not compared
_WORD = re.compile(r"[^\W_]+")

Learner = Callable[["Matrix"], "Matrix"]  # answers to learn from -> what is said to each question left out
Matrix = npt.NDArray[np.float64]


class Learnable(NamedTuple):
    """How much better than by chance answers are foretold, in so many pairs."""

    above: float = 0.0  # deviations above the other orders, of the better learner
    found: float = 0.0  # how right it is, 0..1; `chance`: the same of the other orders, `best_chance` the 95 % of them
    chance: float = 0.0
    best_chance: float = 0.0
    pairs: int = 0  # 0: not told
    classes: bool = False  # few different answers, of which only the very one is right
    numbers: float = 0.0  # share of the answers that are numbers
    across: float = 0.0  # of classes: how right the linear learner of one half of the file is on the other, `within` inside each
    within: float = 0.0
    codes: float = 0.0  # share of the answers that are codes without words
    opposed: tuple[int, ...] = ()  # rows of the two most alike questions whose answers have nothing in common
    opposed_share: float = 0.0  # of the questions that have one alike, those whose nearest has quite another answer


def learnable(examples: Sequence[Example]) -> Learnable:
    """Measured over at most LOOK of the conversations, evenly spread, in the order of the file."""
    talks = list({e.messages[-2].content: e for e in examples if len(e.messages) > 1}.values())
    chosen = [talks[at * len(talks) // LOOK] for at in range(LOOK)] if len(talks) > LOOK else talks
    if len(chosen) < FEWEST:
        return Learnable()
    questions, answers = ([e.messages[place].content for e in chosen] for place in (-2, -1))
    kernel = _vectors(questions, WIDTH)
    kernel = kernel @ kernel.T
    wanted = _wanted(answers)
    if len(np.unique(wanted.round(6), axis=0)) < 2:  # one answer for all is another cause
        return Learnable()
    hat = _hat(kernel)
    nearest = np.where(np.eye(len(kernel), dtype=bool), -1.0, kernel).argmax(1)
    draw = np.random.default_rng(0)
    orders = [draw.permutation(len(chosen)) for _ in range(ORDERS)]
    found, chances = max(
        ((_right(of(wanted), wanted), np.array([_right(of(wanted[o]), wanted[o]) for o in orders])) for of in _learners(hat, nearest)),
        key=lambda pair: (pair[0] - pair[1].mean()) / max(float(pair[1].std()), 1e-6),
    )
    within, across = _halves(kernel, wanted) if _is_classes(wanted) else (0.0, 0.0)
    rows, share = _opposed(kernel, wanted, nearest, [e.row for e in chosen])
    return Learnable(
        above=float((found - chances.mean()) / max(float(chances.std()), 1e-6)),
        found=found,
        chance=float(chances.mean()),
        best_chance=float(np.quantile(chances, 0.95)),
        pairs=len(chosen),
        classes=_is_classes(wanted),
        numbers=float(np.mean([bool(_NUMBER.fullmatch(text.strip())) for text in answers])),
        across=across,
        within=within,
        codes=float(np.mean([bool(_CODE.search(text)) and len(_WORD.findall(_CODE.sub("", text))) < 3 for text in answers])),
        opposed=rows,
        opposed_share=share,
    )


def _learners(hat: Matrix, nearest: npt.NDArray[np.int64]) -> tuple[Learner, Learner]:
    """The linear learner's leave-one-out answers (hat / (1 - its own weight)), and the nearest question's."""
    own = np.diag(hat).copy()
    left_out = (hat - np.diag(own)) / np.maximum(1 - own, 1e-6)[:, None]

    def linear(wanted: Matrix) -> Matrix:
        middle = wanted.mean(0)
        return left_out @ (wanted - middle) + middle

    return linear, lambda wanted: wanted[nearest]


def _hat(kernel: Matrix) -> Matrix:
    return kernel @ np.linalg.inv(kernel + RIDGE * np.diag(kernel).mean() * np.eye(len(kernel)))


def _right(said: Matrix, wanted: Matrix) -> float:
    """How right answers are, on average: of classes the share that is the very one, else the likeness beyond what all have in common."""
    if _is_classes(wanted):
        return float((said.argmax(1) == wanted.argmax(1)).mean())
    a, b = said - wanted.mean(0), wanted - wanted.mean(0)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(1) / np.maximum(norms, 1e-9)).mean())


def _is_classes(wanted: Matrix) -> bool:
    return wanted.shape[1] != ANSWER_WIDTH


def _wanted(answers: Sequence[str]) -> Matrix:
    """Answers as numbers: one column for each where there are few different ones, else their words and letters."""
    plain = [" ".join(text.casefold().split()) for text in answers]
    kinds = {text: at for at, text in enumerate(dict.fromkeys(plain))}
    if len(kinds) <= FEW_ANSWERS and len(plain) >= REUSED * len(kinds):
        return np.eye(len(kinds))[[kinds[text] for text in plain]]
    return _vectors(answers, ANSWER_WIDTH)


def _vectors(texts: Sequence[str], width: int) -> Matrix:
    """Words and stretches of letters, rare ones counting for more, put together by their checksums; each text as long as any other."""
    counts = [_pieces(text) for text in texts]
    spread = Counter(piece for one in counts for piece in one)
    made = np.zeros((len(texts), width))
    for row, one in zip(made, counts, strict=True):
        for piece, n in one.items():
            if spread[piece] < len(texts):
                row[zlib.crc32(piece.encode()) % width] += (1 + np.log(n)) * np.log(len(texts) / spread[piece])
    return made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-9)


def _pieces(text: str) -> Counter[str]:
    plain = " ".join(text.casefold().split())[:MOST_LETTERS]
    letters = (plain[at : at + LETTERS] for at in range(max(1, len(plain) - LETTERS + 1)))
    return Counter([*(f"={word}" for word in _WORD.findall(plain)), *letters])


def _halves(kernel: Matrix, wanted: Matrix) -> tuple[float, float]:
    """How right the linear learner is within a half of the file (left out one by one), and from one half on the other."""
    n = len(kernel) // 2
    first, second = np.arange(n), np.arange(n, len(kernel))
    within = [_right(_learners(_hat(kernel[np.ix_(part, part)]), part)[0](wanted[part]), wanted[part]) for part in (first, second)]
    across: list[float] = []
    for known, new in ((first, second), (second, first)):
        inner = kernel[np.ix_(known, known)]
        weights = np.linalg.inv(inner + RIDGE * np.diag(inner).mean() * np.eye(n if known is first else len(second)))
        middle = wanted[known].mean(0)
        both = new[wanted[new] @ wanted[known].any(0) > 0]  # a file that is sorted by class has others in its other half
        if len(both) < HALF:
            return 0.0, 0.0
        across.append(_right(kernel[np.ix_(both, known)] @ weights @ (wanted[known] - middle) + middle, wanted[both]))
    return float(np.mean(within)), float(np.mean(across))


def _opposed(kernel: Matrix, wanted: Matrix, nearest: npt.NDArray[np.int64], rows: Sequence[int]) -> tuple[tuple[int, ...], float]:
    """The two most alike questions whose answers have nothing in common, and of those with a like one how many have such a one."""
    alike = kernel[np.arange(len(kernel)), nearest]
    close = alike >= CLOSE
    apart = (wanted * wanted[nearest]).sum(1) < APART
    share = float((close & apart).sum() / close.sum()) if close.sum() >= FEWEST_CLOSE else 0.0
    differ = np.where(wanted @ wanted.T < APART, kernel, -1.0)
    one, other = divmod(int(differ.argmax()), differ.shape[1])
    return (tuple(sorted((rows[one], rows[other]))) if differ.max() > 0 else ()), share
