"""Owns how much is learned: the rounds a plan makes, by the kind of data, the size of the model and the number of examples.

Invariant: no clock and no speed has a say in it, so the same examples give the same plan on every computer and on every day. The numbers
are those of docs/measurements/plans.md, made by benchmarks/sweep.py.
"""

from __future__ import annotations

from typing import Literal

from loralab.core.records import DatasetProfile
from loralab.core.words import count

Kind = Literal["sort", "short", "long"]

TINY = 50_000_000  # parameters: below, a model has no facts of its own to lean on, and needs bold corrections and many of them
SMALL = 200_000_000
SHORT_ANSWER = 40  # tokens of a mean answer: a name, a line, a sentence
ENOUGH_UPDATES, FEW_UPDATES = 100, 20  # fewer rarely change how a model writes; below the few hardly anything changes (Tinker)
MOST_ROUNDS = 10  # over the same examples: more teach them by heart
# updates by kind and size of the model: tiny, small, larger
UPDATES: dict[Kind, tuple[int, int, int]] = {"sort": (270, 120, 100), "short": (340, 100, 100), "long": (150, 100, 100)}
KIND_WORDS: dict[Kind, str] = {
    "sort": "To tell the groups apart it takes about {needed:,} corrections",
    "short": "To learn short answers it takes about {needed:,} corrections",
    "long": "To take on a way of writing it takes about {needed:,} corrections",
}


def kind_of(profile: DatasetProfile) -> Kind:
    """What is learned, as far as it decides how much of it is needed."""
    if profile.shape == "label":
        return "sort"
    if profile.shape == "text":
        return "long"
    answer = profile.tokens.get("learned", 0) / max(1, profile.n_kept)
    return "short" if answer <= SHORT_ANSWER else "long"


def usual_updates(kind: Kind, parameters: int) -> int:
    """Corrections that teach this kind of thing to a model of so many weights; of an unknown size as to a larger one."""
    tiny, small, larger = UPDATES[kind]
    return tiny if 0 < parameters < TINY else small if 0 < parameters < SMALL else larger


def usual_rounds(kind: Kind, parameters: int, rows: int, batch: int) -> int:
    """Rounds over the examples: as many as make enough corrections, and never so many that they are learned by heart."""
    usual = 3 if rows <= 5000 else 2 if rows <= 20000 else 1
    per_round = -(-rows // batch)
    return max(usual, min(MOST_ROUNDS, -(-usual_updates(kind, parameters) // per_round)))


def rounds_words(kind: Kind, parameters: int, rows: int, rounds: int, batch: int) -> str:
    """Why so many rounds."""
    made = rounds * -(-rows // batch)
    needed = KIND_WORDS[kind].format(needed=usual_updates(kind, parameters))
    return f"{needed}; {count(rows, 'example')} seen {'once' if rounds == 1 else f'{rounds} times'} give {made:,}."
