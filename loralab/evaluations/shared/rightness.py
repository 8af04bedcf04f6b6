"""Owns both answers where an answer is right or wrong: labels, a closed set of answers, short exact ones, numbers, fields of JSON.

Invariant: being right alone carries them. What always giving the commonest answer would reach is named, and whoever does no better than
with the right answers dealt out at random has not learned which belongs to what.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

import numpy as np

from loralab.core.records import Example
from loralab.core.verdict import Check
from loralab.core.words import listed
from loralab.evaluations import Answered
from loralab.evaluations.shared.paired import FEWEST, SURE
from loralab.evaluations.shared.shares import Matrix, between, by_chance, closeness, same
from loralab.evaluations.text import exact_match, json_match, label_accuracy, number_match

EXACT_WORDS = 3  # of the median answer, up to which nothing but the very answer is right
FORM_WORDS, FORM = 12, 0.3  # the same where answers so short are filled into a form: so close to each other (chrF)
LOOKED_AT = 40  # answers whose form is looked at
KNOWN = 0.9  # share of held-out answers that stand among the learned ones, from which on the set of answers is closed
REUSED = 2  # times an answer of a closed set is learned from, on average
MOSTLY = 0.8  # of the fields of a JSON answer
YES, YES_LOW, PARTLY, TOPIC = 0.8, 0.6, 0.5, 2 / 3  # shares right: for yes, what its interval must not go below; for some; of one topic
WEAK, SHOWN = 3, 40  # topics named, and letters of an answer that is
Learned = Literal["yes", "no", "unknown"]
Usable = Literal["yes", "partly", "no", "you_decide"]


@dataclass(frozen=True)
class Right:
    """Answers that are right or wrong. `match[i, j]`: how right answer i would be for example j."""

    verb: str  # sorted | answered | worked out | filled in
    wanted: tuple[str, ...]
    before: tuple[bool, ...]
    after: tuple[bool, ...]
    match: Matrix
    kinds: int = 0  # different answers there are to choose from; 0: no closed set
    commonest: str = ""  # of the learned answers
    written: str = ""  # how the commonest is written

    @property
    def n(self) -> int:
        return len(self.wanted)

    @property
    def count(self) -> int:
        return sum(self.after)

    @property
    def by_habit(self) -> int:
        """How many are right when always the commonest answer is given."""
        return self.wanted.count(self.commonest) if self.commonest else 0

    @property
    def proven(self) -> bool:
        """Whether it is right more often than the same answers dealt out at random, and than always the commonest."""
        return self.count > self.by_habit and by_chance(self.match)[1] < SURE

    @property
    def topics(self) -> dict[str, tuple[int, int]]:
        """Of each answer of a closed set: how often right, and of how many."""
        of = Counter(self.wanted)
        right = Counter(w for w, good in zip(self.wanted, self.after, strict=True) if good)
        return {name: (right[name], count) for name, count in sorted(of.items())} if self.kinds else {}


def right_or_wrong(main: str, answers: Sequence[Answered], train: Sequence[Example]) -> Right | None:
    """The answers as right or wrong, where they can be; None for open ones. `main`: name of the measure that ranks highest."""
    asked = [a for a in answers if a.reference.strip()]
    if not asked:
        return None
    learned = Counter(exact_match.normalised(e.messages[-1].content) for e in train if e.messages)
    wanted = [exact_match.normalised(a.reference) for a in asked]
    closed = sum(w in learned for w in wanted) >= KNOWN * len(wanted) and learned.total() >= REUSED * len(learned) > REUSED
    words = median(len(a.reference.split()) for a in asked)
    short = words <= EXACT_WORDS or (words <= FORM_WORDS and _alike([a.reference for a in asked[:LOOKED_AT]]) >= FORM)
    match main:
        case "label_accuracy":
            labels = Counter(label_accuracy.normalised(e.label) for e in train if e.label is not None)
            found = _exactly("sorted", asked, label_accuracy.normalised, labels)
        case "number_match":
            found = _graded("worked out", asked, lambda text, reference: float(number_match.same(text, reference)))
        case "json_match":
            found = _graded("filled in", asked, json_match.fields_right)
        case _ if closed or short:
            found = _exactly("answered", asked, exact_match.normalised, learned if closed else Counter())
        case _:
            found = None
    return found


def _alike(texts: Sequence[str]) -> float:
    """How close texts are to each other on average."""
    _, chrf = closeness(texts, texts)
    return float(chrf[~np.eye(len(texts), dtype=bool)].mean()) if len(texts) > 1 else 0.0


def _exactly(verb: str, asked: Sequence[Answered], bare: Callable[[str], str], learned: Counter[str]) -> Right:
    """Right is the very answer; `learned`: how often each was learned from, where the set is closed."""
    wanted, before, after = (tuple(map(bare, side)) for side in _sides(asked))
    commonest = (learned or Counter(wanted)).most_common(1)[0][0]
    marks = [tuple(said == want for said, want in zip(side, wanted, strict=True)) for side in (before, after)]
    written = next((a.reference.strip() for a in asked if bare(a.reference) == commonest), commonest)
    return Right(verb, wanted, marks[0], marks[1], same(after, wanted), len(learned), commonest, written)


def _graded(verb: str, asked: Sequence[Answered], value: Callable[[str, str], float]) -> Right:
    """Right is what `value(text, reference)` finds right, or mostly right."""
    wanted, before, after = _sides(asked)
    marks = [tuple(value(said, want) >= MOSTLY for said, want in zip(side, wanted, strict=True)) for side in (before, after)]
    match = np.array([[value(said, want) for want in wanted] for said in after])
    return Right(verb, wanted, marks[0], marks[1], match, 0, Counter(wanted).most_common(1)[0][0])


def _sides(asked: Sequence[Answered]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    return tuple(a.reference for a in asked), tuple(a.before.text for a in asked), tuple(a.after.text for a in asked)


# ---- did it learn? ---------------------------------------------------------------------------------------------------------
def learned(found: Right) -> tuple[Learned, str]:
    """Whether it is right more often than before, and than without knowing anything."""
    now, before = found.count, sum(found.before)
    words = f"Of the {found.n} it never saw, it {found.verb} {now} right. Before: {before}.{_without_knowing(found)}"
    if found.n < FEWEST:
        return "unknown", f"{words} So few are not enough to tell."
    gained = sum(a and not b for b, a in zip(found.before, found.after, strict=True))
    lost = sum(b and not a for b, a in zip(found.before, found.after, strict=True))
    changed = label_accuracy.mcnemar(gained, lost) < SURE
    if changed and gained > lost:
        if found.proven:
            return "yes", words
        if now > found.by_habit:
            return "unknown", f"{words} Picking answers at random could do as well."
        return "no", f"{words} It knows what answers look like, but not which belongs to what."
    if changed or now == before:
        return "no", words
    return ("unknown" if now > before else "no"), f"{words} That could be chance."


def _without_knowing(found: Right) -> str:
    said = [f"By guessing: {found.n / found.kinds:.0f}."] if found.kinds > 1 else []
    habit = found.written or found.commonest
    said += [f"Always saying “{habit}”: {found.by_habit}."] if found.by_habit > 1 and len(habit) <= SHOWN else []
    return "".join(f" {one}" for one in said)


# ---- can it be used? -------------------------------------------------------------------------------------------------------
def usable(found: Right) -> tuple[Usable, str, str, Check]:
    """Whether so many are right that it can be relied on: the answer, its words, how far it reaches, and the check it rests on."""
    share = found.count / found.n
    low, high = between(found.count, found.n)
    answer, words, reach = _sized(found, share, low)
    said = f"{found.count} of {found.n} are right."
    check = Check(name="right", words=said, share=share, floor=YES, between=(low, high), n=found.n, passed=answer == "yes")
    if answer in ("yes", "partly"):
        words = f"{said} Of 100 new ones, expect {100 * low:.0f} to {100 * high:.0f} right.{words}"
    return answer, words, reach, check


def _sized(found: Right, share: float, low: float) -> tuple[Usable, str, str]:
    good = [name for name, (right, of) in found.topics.items() if right >= TOPIC * of]
    topics = len(found.topics)
    reach = f"for {len(good)} of {topics} topics" if good and topics > max(2, len(good)) else ""
    if not found.proven and share >= YES and found.count > found.by_habit:
        return "you_decide", f"{found.count} of {found.n} are right, but so few could be luck: try it with some of your own.", ""
    if not found.proven:
        only = "Only " if share < YES else ""
        return "no", f"{only}{found.count} of {found.n} are right: no better than answers picked without reading the question.", ""
    if share >= YES and low >= YES_LOW:
        return "yes", _weak(found), reach
    if share >= PARTLY or (reach and 2 <= len(good) >= topics / 3):
        return "partly", _weak(found), reach
    return "no", f"Only {found.count} of {found.n} are right, so it is wrong more often than right.", ""


def _weak(found: Right) -> str:
    """The topics it does worst at."""
    poor = sorted((right / of, name) for name, (right, of) in found.topics.items() if right < TOPIC * of)[:WEAK]
    told = [f"“{name}” {found.topics[name][0]} of {found.topics[name][1]}" for _, name in poor]
    return f" Weak: {listed(told)}." if told else ""


def worst(found: Right) -> int | None:
    """Place of the wrong answer that shows most: one of its weakest topic."""
    topics = found.topics
    wrong = [i for i, good in enumerate(found.after) if not good]
    return min(wrong, key=lambda i: (topics[found.wanted[i]][0] / topics[found.wanted[i]][1] if topics else 0, i), default=None)
