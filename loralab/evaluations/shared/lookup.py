"""Owns the baseline nobody can argue with: to each held-out question, the answer of the learned question that is nearest to it.

Nearest by TF-IDF over words and stretches of letters (Salton 1988), the same for every language. Its answers are scored by the very measure
that the model's are. Where they do as well, a search through the examples would serve as well as the training.

Invariants: the held-out answers are never looked at to choose; the same examples give the same answers; where looking up is worth no more
than always saying the commonest answer, nothing is said of it.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from heapq import nlargest
from typing import Literal, NamedTuple

from loralab.core.records import Example
from loralab.core.words import count
from loralab.evaluations import Answer, Answered
from loralab.evaluations.shared import rightness
from loralab.evaluations.shared.answers import asked, last_said
from loralab.evaluations.shared.paired import SURE
from loralab.evaluations.shared.shares import closeness
from loralab.evaluations.text.label_accuracy import mcnemar

MOST = 20_000  # learned examples searched
LETTERS, MOST_LETTERS = 4, 400  # of a stretch; of a question that are looked at
OPEN_GOOD = 0.35  # closeness (chrF) of looked-up answers to open questions, from which on a person would take them for answers
NEAR = 0.95  # of what the model has right, or of how close it comes: from there on the search does as well
_WORD = re.compile(r"[^\W_]+")

Rank = Literal["", "as_well", "better"]


class LookUp(NamedTuple):
    """How a search did beside the model: empty rank where it did worse, or says nothing."""

    rank: Rank = ""
    words: str = ""


def looked_up(questions: Sequence[str], train: Sequence[Example]) -> list[str]:
    """To each question the answer of the nearest learned one; empty where no learned question has anything in common with it."""
    known = [(last_said(prompt), reference) for example in train[:MOST] if example.messages for prompt, reference in (asked(example),)]
    counts = [_pieces(question) for question, _ in known]
    spread = Counter(piece for one in counts for piece in one)
    rare = {piece: math.log((1 + len(known)) / n) for piece, n in spread.items()}
    where: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for place, one in enumerate(counts):
        weights = {piece: (1 + math.log(n)) * rare[piece] for piece, n in one.items()}
        length = math.sqrt(sum(weight**2 for weight in weights.values())) or 1.0
        for piece, weight in weights.items():
            where[piece].append((place, weight / length))
    return [_nearest(question, known, rare, where) for question in questions]


def _nearest(question: str, known: Sequence[tuple[str, str]], rare: dict[str, float], where: dict[str, list[tuple[int, float]]]) -> str:
    found: defaultdict[int, float] = defaultdict(float)
    for piece, n in _pieces(question).items():
        if rare.get(piece, 0.0) > 0:
            for place, weight in where[piece]:
                found[place] += (1 + math.log(n)) * rare[piece] * weight
    best = nlargest(1, found.items(), key=lambda item: (item[1], -item[0]))
    return known[best[0][0]][1] if best else ""


def _pieces(text: str) -> Counter[str]:
    plain = " ".join(text.casefold().split())[:MOST_LETTERS]
    letters = (plain[at : at + LETTERS] for at in range(max(1, len(plain) - LETTERS + 1)))
    return Counter([*(f"={word}" for word in _WORD.findall(plain)), *letters])


def compared(answers: Sequence[Answered], train: Sequence[Example], main: str) -> LookUp:
    """How a search did on the same held-out examples by the same measure; `main`: the measure that ranks highest."""
    judged = [a for a in answers if a.reference.strip() and not isinstance(a.prompt, str)]
    if not judged or len(train) < 2:
        return LookUp()
    found = looked_up([a.question for a in judged], train)
    searched = [replace(a, after=Answer(text, True, 0)) for a, text in zip(judged, found, strict=True)]
    model, search = (rightness.right_or_wrong(main, side, train) for side in (judged, searched))
    if model is None or search is None:
        return _open(judged, found)
    if not search.proven or not search.count:
        return LookUp()
    gained = sum(s and not m for s, m in zip(search.after, model.after, strict=True))
    lost = sum(m and not s for s, m in zip(search.after, model.after, strict=True))
    if search.count < NEAR * model.count:
        return LookUp()
    of = f"{search.count} of {model.n}"
    if gained > lost and mcnemar(gained, lost) < SURE:
        return LookUp("better", f"A search through your examples would be right more often: {of}.")
    often = "at least" if search.count >= model.count else "about"
    return LookUp("as_well", f"A search through your examples would be right {often} as often: {of}.")


def _open(judged: Sequence[Answered], found: Sequence[str]) -> LookUp:
    """Of open answers: how close both come to what was expected."""
    wanted = [a.reference for a in judged]
    model, search = (float(closeness(side, wanted)[1].diagonal().mean()) for side in ([a.after.text for a in judged], list(found)))
    if search < max(OPEN_GOOD, NEAR * model):
        return LookUp()
    words = f"A search through your examples would come as close to the {count(len(judged), 'expected answer')}."
    return LookUp("as_well", words)
