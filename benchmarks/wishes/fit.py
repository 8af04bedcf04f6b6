"""Fits what reads wishes, and writes data/wishes.npz: the weights of words and signs, and the share from which a kind counts as sure.

    python -m benchmarks.wishes.fit [--check]

It learns from training.jsonl, from what patterns.txt gives with its gaps filled in, from prompts.jsonl and from the odd lines of
fresh.jsonl; its even lines are never learned from. `--check` writes nothing. What it prints is how well each author's wishes are read by
weights that have not seen them.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, vstack
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from advisor.proposals.wishes import SIGNS, scores, tidy
from advisor.proposals.wording import BUCKETS, FILE, SIGN, Weights, placed
from benchmarks.wishes.__main__ import FRESH, PROMPTS, Prompt, prompts

TRAINING, PATTERNS = (Path(__file__).with_name(name) for name in ("training.jsonl", "patterns.txt"))
KINDS = tuple(SIGNS)
SHARES = {"en": 0.5, "de": 0.14, "fr": 0.1, "es": 0.1, "pt": 0.06, "it": 0.05, "nl": 0.05}  # of the filled-in patterns
FILLED, FILLED_COUNTS = 4000, 0.4
STRENGTH = 50.0  # inverse of the regularisation
RIGHT = 0.9  # where it says that it is sure
FOLDS = 5


@dataclass(frozen=True)
class Lesson:
    """Wishes of one author, to learn from."""

    wishes: list[str]
    kinds: list[int]
    counts: float = 1.0
    signs: bool = True  # False: the table of signs was drawn up on these very wishes, so that its word on them proves nothing

    def only(self, numbers: Sequence[int]) -> Lesson:
        """Some of them."""
        return Lesson([self.wishes[n] for n in numbers], [self.kinds[n] for n in numbers], self.counts, self.signs)


def filled(number: int = FILLED, seed: int = 0) -> Lesson:
    """Wishes from patterns: each pattern of a language in turn, its gaps filled in by chance, never twice with the same."""
    table: dict[str, list[str]] = {}
    for line in PATTERNS.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            name, _, rest = line.partition(":")
            table[name] = [one.strip() for one in rest.split(" | ")]
    chance, made = random.Random(seed), Lesson([], [], FILLED_COUNTS)
    for place, kind in enumerate(KINDS):
        for language, share in SHARES.items():
            patterns = table[f"{language}.{kind}"]
            for turn in range(round(number * share / len(KINDS))):
                made.wishes.append(_fill(patterns[turn % len(patterns)], language, table, chance))
                made.kinds.append(place)
    return made


def _fill(pattern: str, language: str, table: dict[str, list[str]], chance: random.Random) -> str:
    used: list[str] = []

    def one(gap: re.Match[str]) -> str:
        used.append(chance.choice([thing for thing in table[f"{language}.{gap[1]}"] if thing not in used]))
        return used[-1]

    return re.sub(r"\{(\w+)\}", one, pattern)


def lessons() -> tuple[Lesson, Lesson, Lesson]:
    """Of the three authors: training.jsonl, prompts.jsonl, the odd half of fresh.jsonl."""
    (odd, even), (dev, heldout), (fresh, _) = prompts(TRAINING), prompts(PROMPTS), prompts(FRESH)
    return _lesson([*odd, *even]), _lesson([*dev, *heldout], signs=False), _lesson(fresh)


def _lesson(found: Sequence[Prompt], *, signs: bool = True) -> Lesson:
    return Lesson([one.wish for one in found], [KINDS.index(one.kind) for one in found], signs=signs)


def matrix(lesson: Lesson) -> csr_matrix:
    """A row for each wish: its words, then its points in the table of signs."""
    places, values, ends = [], [], [0]
    for wish in lesson.wishes:
        said = tidy(wish)
        at, value = placed(said)
        points = [SIGN * one if lesson.signs else 0.0 for one in scores(said)]
        places += [*at, *range(BUCKETS, BUCKETS + len(KINDS))]
        values += [*value.tolist(), *points]
        ends.append(len(places))
    return csr_matrix((values, places, ends), shape=(len(lesson.wishes), BUCKETS + len(KINDS)))


def fit(taught: Sequence[Lesson]) -> Weights:
    """The weights, words in 255 steps."""
    counts = np.concatenate([np.full(len(one.wishes), one.counts) for one in taught])
    model = LogisticRegression(C=STRENGTH, max_iter=400)
    model.fit(vstack([matrix(one) for one in taught]), np.concatenate([one.kinds for one in taught]), sample_weight=counts)
    weights = np.asarray(model.coef_, np.float32).T
    step = float(np.abs(weights[:BUCKETS]).max() / 127)
    words = np.round(weights[:BUCKETS] / step).astype(np.int8)
    return Weights(words, weights[BUCKETS:], np.asarray(model.intercept_, np.float32), 1.0, step)


def read(weights: Weights, lesson: Lesson) -> npt.NDArray[np.float32]:
    """Shares of the kinds for each wish."""
    return np.stack([weights.shares(tidy(wish), scores(tidy(wish))) for wish in lesson.wishes])


def unseen(made: Lesson) -> list[tuple[str, npt.NDArray[np.float32], npt.NDArray[np.int64]]]:
    """Each author's wishes as read by weights that have not seen them: the two others' and, for our own, by folds. With what they mean."""
    ours, second, third = lessons()
    shares = np.zeros((len(ours.wishes), len(KINDS)), np.float32)
    for rest, part in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(ours.wishes, ours.kinds):
        shares[part] = read(fit([ours.only(rest.tolist()), second, third, made]), ours.only(part.tolist()))
    return [
        ("training.jsonl, by folds", shares, np.array(ours.kinds)),
        ("prompts.jsonl", read(fit([ours, third, made]), second), np.array(second.kinds)),
        ("fresh.jsonl, odd lines", read(fit([ours, second, made]), third), np.array(third.kinds)),
    ]


def threshold(found: Sequence[tuple[str, npt.NDArray[np.float32], npt.NDArray[np.int64]]]) -> float:
    """The least share at which each author's wishes are read right nine times in ten."""
    for percent in range(30, 100):
        sure = [(shares.max(1) >= percent / 100, shares.argmax(1) == kinds) for _, shares, kinds in found]
        if all(right[chosen].mean() >= RIGHT for chosen, right in sure if chosen.any()):
            return percent / 100
    return 1.0


def main() -> None:
    """Fit, say how well, write."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--check", action="store_true", help="write nothing")
    made = filled()
    found = unseen(made)
    sure = threshold(found)
    for name, shares, kinds in found:
        right, chosen = shares.argmax(1) == kinds, shares.max(1) >= sure
        third = (np.argsort(-shares, 1)[:, :3] == kinds[:, None]).any(1)
        sys.stdout.write(
            f"{name}: right {right.mean():.1%} of {len(kinds)}; sure of {chosen.mean():.1%}, of these right {right[chosen].mean():.1%};"
            f" among the three likeliest {third.mean():.1%}\n"
        )
    if not arguments.parse_args().check:
        weights = fit([*lessons(), made])
        np.savez_compressed(FILE, words=weights.words, signs=weights.signs, bias=weights.bias, sure=sure, step=weights.step)
        sys.stdout.write(f"sure from {sure:.2f}; {FILE.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
