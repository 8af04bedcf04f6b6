"""Owns whether open answers can be used: what can be seen of them without a person, each as a check with a floor.

Invariants: what the person's own answers do not pass is not asked of the model's; a floor counts as missed only where the number of
answers bears it out; that all floors are passed means “you decide”, and only answers close to the expected ones mean more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from loralab.core.facts import MOSTLY_STRUCTURE
from loralab.core.records import Example
from loralab.core.verdict import Check
from loralab.core.words import count as plain_count
from loralab.core.words import plural
from loralab.datasets import signs
from loralab.datasets.dataset import spread
from loralab.evaluations import Answered
from loralab.evaluations.shared import form
from loralab.evaluations.shared.alarms import FEWEST, unended
from loralab.evaluations.shared.paired import SURE, paired_difference
from loralab.evaluations.shared.rightness import PARTLY, YES, YES_LOW, Usable
from loralab.evaluations.shared.shares import Matrix, between, by_chance, closeness
from loralab.evaluations.text import json_match

MOST = 40  # answers compared with each other: the cost is their square
ENOUGH = 12  # answers from which on it is asked whether they are about their question
DOUBT = 0.84  # normal quantile: a floor is missed where even the upper end of an 80 % interval is below it
APART_FROM = 0.6  # of what the person's answers have in common with each other
TWINS = 0.8  # chrF from which on two of the person's answers say the same
NEAR = 0.5  # chrF from which on an answer says about what its example says
FLOORS = {"valid": 0.8, "says": 0.8, "language": 0.8, "words": 0.8, "repeats": 0.8, "ends": 0.6, "varied": 0.5}
SAID = {
    "valid": "{right} are well formed, as those of your examples are|{right} is well formed, as those of your examples are",
    "says": "{right} say anything at all|{right} says anything at all",
    "language": "{right} are in the language of your examples|{right} is in the language of your examples",
    "words": "{right} are made of real words|{right} is made of real words",
    "repeats": "{right} do not repeat themselves|{right} does not repeat itself",
    "ends": "{right} end by themselves|{right} ends by itself",
    "varied": "{different} to {questions}",
}
ABOUT = "Its answers do not depend on the question, and those of your examples do."
APART = "Its answers are further from what your examples say than your own examples are from one another."
SIGNS = (
    "What it learned to write is mostly brackets, quotes, field names or ids, and no language. "
    "Whether that is what you want, only you can tell."
)
DECIDE = "Its answers are well made: real words, no loops. Whether they are good, only you can tell."
UNKNOWN_WORDS = "Its words could not be checked: no list here has those of your own answers. Whether they are good, only you can tell."


@dataclass
class Opened:
    """Open answers to held-out examples, with what was learned from."""

    answers: Sequence[Answered]
    train: Sequence[Example]

    @cached_property
    def references(self) -> list[str]:
        return [a.reference for a in self.answers if a.reference.strip()]

    @cached_property
    def said(self) -> list[str]:
        return [a.after.text for a in self.answers]

    @cached_property
    def known(self) -> frozenset[str]:
        """The languages of the person's own answers, where most of these can be told to be in one of them."""
        found = form.languages(self.references)
        fits = [form.in_one_of(text, found) for text in self.references]
        return found if fits and sum(fits) >= PARTLY * len(fits) else frozenset()

    @cached_property
    def lexicon(self) -> form.Lexicon:
        learned = (m.content for e in self.train for m in e.messages)
        return form.Lexicon([*learned, *(e.text for e in self.train), *(a.question for a in self.answers)], self.known)

    @cached_property
    def structured(self) -> bool:
        """Whether the person's own answers are objects or lists, written down as JSON."""
        objects = sum(json_match.parsed(text) is not None for text in self.references)
        return bool(objects) and objects >= YES * len(self.references)

    @cached_property
    def signs(self) -> float:
        """Share of what is learned to be written that is no language: brackets, quotes, names of fields, ids."""
        said = [e.messages[-1].content if e.messages else e.text for e in self.train]
        return signs.share([said[i] for i in spread(len(said), signs.LOOKED_AT)])

    @cached_property
    def flags(self) -> dict[str, list[bool]]:
        """Per check, whether each answer passes; only checks that mean something here."""
        most = form.allowed(self.references, self.lexicon)
        ends = [not unended(a) for a in self.answers]
        found = {"says": [bool(text.strip()) for text in self.said]}
        if self.structured:
            found["valid"] = [json_match.parsed(text) is not None for text in self.said]
        if self.known:
            found["language"] = [form.in_one_of(text, self.known) for text in self.said]
        if most is not None:
            found["words"] = [self.lexicon.unknown(text) <= most for text in self.said]
        found["repeats"] = [not form.goes_round(text) for text in self.said]
        return found | ({"ends": ends} if any(a.example.messages for a in self.answers) else {})

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """Every check of form, in the order in which a missed one is told."""
        own = sum(form.goes_round(text) for text in self.references) / max(1, len(self.references))
        own = own if own < PARTLY else 0.0  # examples that are loops themselves excuse none
        made = [
            _check(name, sum(passed), len(passed), FLOORS[name] * (1 - own if name == "repeats" else 1))
            for name, passed in self.flags.items()
        ]
        different, wanted = len(set(self.said)), len(set(self.references))
        if len(self.said) >= FEWEST and wanted:
            made.append(_check("varied", different, len(self.said), FLOORS["varied"] * wanted / len(self.references)))
        return tuple(made)

    # ---- against the expected answers ------------------------------------------------------------------------------------
    @cached_property
    def compared(self) -> list[Answered]:
        """Those answers that are held against each other's references."""
        rows = [a for a in self.answers if a.reference.strip()]
        return [rows[i] for i in spread(len(rows), MOST)]

    @cached_property
    def near(self) -> tuple[Matrix, Matrix]:
        """How much answer i has in common with the reference of example j: the share of it that stands there, and chrF."""
        return closeness([a.after.text for a in self.compared], [a.reference for a in self.compared])

    @cached_property
    def own(self) -> tuple[Matrix, Matrix]:
        """The same of reference i and reference j; not a number where they say the same."""
        references = [a.reference for a in self.compared]
        shares, chrf = closeness(references, references)
        return np.where(chrf >= TWINS, np.nan, shares), np.where(chrf >= TWINS, np.nan, chrf)

    def about(self) -> Check | None:
        """Whether the answers depend on their questions, where the person's do; None where that cannot be told."""
        if len(self.compared) < ENOUGH:
            return None
        asked = [set(form.words(a.question)) for a in self.compared]
        theirs, mine = (
            _shared([set(form.words(t)) for t in side], asked)
            for side in ([a.reference for a in self.compared], [a.after.text for a in self.compared])
        )
        if by_chance(theirs)[1] >= SURE / 10:
            return None
        chances = [by_chance(mine)[1], by_chance(self.near[1])[1]]
        passed, n = min(chances) < SURE, len(self.compared)
        words = "Its answers take up the question." if passed else ABOUT
        return Check(name="about", words=words, share=float(passed), floor=1.0, between=(0.0, 1.0), n=n, passed=passed)

    def close(self) -> Check | None:
        """Whether an answer is as close to the expected one as the person's answers are to each other; None where that cannot be told."""
        shares, _ = self.own
        if len(self.compared) < FEWEST or np.isnan(shares).all(0).any():
            return None
        usual, mine = np.nanmean(shares, axis=0), np.diagonal(self.near[0])
        found = paired_difference((APART_FROM * usual).tolist(), mine.tolist(), [1.0] * len(mine))
        passed = not found.high < 0
        words = "Its answers are as close to the expected ones as your own are to one another." if passed else APART
        share = float((mine >= APART_FROM * usual).mean())
        return Check(
            name="close", words=words, share=share, floor=0.5, between=between(share * len(mine), len(mine)), n=len(mine), passed=passed
        )

    def like_expected(self) -> tuple[int, int]:
        """How many answers say about what their example says: nearer to it than nearly all of the person's other answers are.

        None do where answers dealt to other questions would be as near.
        """
        if len(self.compared) < FEWEST or by_chance(self.near[1])[1] >= SURE:
            return 0, len(self.compared)
        others, mine = np.quantile(np.nan_to_num(self.own[1]), 0.95, axis=0), np.diagonal(self.near[1])
        return int(((mine > others) & (mine >= NEAR)).sum()), len(mine)


def usable(found: Opened) -> tuple[Usable, str, tuple[Check, ...]]:
    """Whether open answers can be used, in a sentence, with every check."""
    checks = found.checks
    if any(a.example.messages for a in found.answers):
        checks += tuple(check for check in (found.about(), found.close()) if check is not None)
    missed = [check for check in checks if not check.passed]
    if missed:
        return "no", " ".join(check.words for check in missed[:2]), checks
    if found.signs >= MOSTLY_STRUCTURE:
        return "you_decide", SIGNS, checks
    right, n = found.like_expected()
    low, _ = between(right, n)
    said = f"{right} of {plain_count(n, 'answer')} {plural(right, 'says', 'say')} about what your examples say."
    if right >= YES * n and low >= YES_LOW:
        return "yes", said, checks
    if right >= PARTLY * n and low >= PARTLY / 2:
        return "partly", said, checks
    return "you_decide", DECIDE if "words" in found.flags else UNKNOWN_WORDS, checks


def worst(found: Opened) -> int | None:
    """Place of the answer that fails most checks, and of these the one that is given most often."""
    fails = [sum(not passed[i] for passed in found.flags.values()) for i in range(len(found.said))]
    return max(range(len(fails)), key=lambda i: (fails[i], found.said.count(found.said[i])), default=None)


def said(name: str, right: int, n: int) -> str:
    """A check in words: how many answers pass it, with the verb that belongs to the number."""
    many, _, one = SAID[name].partition("|")
    of = {"right": f"{right} of {plain_count(n, 'answer')}", "questions": plain_count(n, "question")}
    return (one if right == 1 and one else many).format(**of, different=plain_count(right, "different answer"))


def _check(name: str, count: int, n: int, floor: float) -> Check:
    upper = between(count, n, DOUBT)[1]
    passed = n < FEWEST or count >= floor * n or upper >= floor
    only = "" if passed else "Only "
    words = f"{only}{said(name, count, n)}."
    return Check(name=name, words=words, share=count / max(1, n), floor=floor, between=between(count, n), n=n, passed=passed)


def _shared(texts: Sequence[set[str]], questions: Sequence[set[str]]) -> Matrix:
    """Share of a question's longer words that a text takes up, for each text and each question."""
    asked = [{word for word in words if len(word) > 3} for words in questions]
    return np.array([[len(text & words) / max(1, len(words)) for words in asked] for text in texts])
