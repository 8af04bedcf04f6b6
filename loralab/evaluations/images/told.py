"""Owns what the verdicts on kinds, masks and boxes share: scores with their corrections, what the probe says, caps, and how it is worded.

Invariants: what is told without a question being asked of it (no verdict) costs the others nothing; near copies of what was learned from
are not judged, and where most are such nothing is proven.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from loralab.core.judgement import Judgement
from loralab.core.records import Sample, Score
from loralab.core.verdict import Check, Verdict
from loralab.core.words import count, listed, plural
from loralab.evaluations.images import intervals
from loralab.evaluations.images.intervals import Compared, Draws, Statistic
from loralab.evaluations.images.seen import AnySeen, only
from loralab.evaluations.shared.paired import FEWEST, SURE, holm

LOST = 0.05  # of a kind's share found, that must be missing against the probe before it is named
WORST, TYPICAL = 3, 2  # pictures shown
NAMED = 3  # kinds named in a sentence
Learned = Literal["yes", "no", "unknown"]
Usable = Literal["yes", "partly", "no", "you_decide"]


@dataclass(frozen=True)
class Meaning:
    """What a measure is called, what its number means, and what it found in one sentence."""

    name: str
    label: str
    help: str
    words: str
    group: str = "accuracy"
    lower_is_better: bool = False
    asked: bool = True  # whether it is better or worse is a question that means something


@dataclass(frozen=True)
class Found:
    """All that a judgement is made of beside the two answers' words, which `conclusion` has."""

    scores: tuple[Score, ...]
    conclusion: Verdict
    probe: dict[str, Any] | None
    rows: list[dict[str, Any]]
    table: dict[str, Any]
    samples: tuple[Sample, ...]


# ---- numbers in words ------------------------------------------------------------------------------------------------------
def percent(share: float) -> str:
    """A share as people say it: 93 %; nearly all is never “100 %”, nor hardly any “0 %”."""
    if not math.isfinite(share):
        return "–"
    whole = round(100 * share)
    return ("over 99 %" if share < 1 else "100 %") if whole == 100 else "under 1 %" if whole == 0 and share > 0 else f"{whole} %"


def points(difference: float) -> str:
    """A difference of shares without its sign: 2 points, 1 point, 0.4 points, less than 0.1 points."""
    size = 100 * abs(difference)
    if size < 0.05:
        return "less than 0.1 points"
    shown = f"{size:.1f}" if size < 0.95 else f"{size:.0f}"
    return f"{shown} {'point' if shown == '1' else 'points'}"


def so_many(number: int) -> str:
    """A count where “0” would be read over: none, 1, 2."""
    return f"{number:,}" if number else "none"


def slug(label: str, taken: Sequence[str] = ()) -> str:
    """A label as part of a name: letters of any language and digits, joined by low lines; another number where that is taken."""
    made = re.sub(r"\W+", "_", label.lower()).strip("_") or "kind"
    number = 2
    while made in taken:
        made, number = f"{made.rsplit('__', 1)[0]}__{number}", number + 1
    return made


def slugs(labels: Sequence[str]) -> list[str]:
    """One for each label, all different."""
    made: list[str] = []
    for label in labels:
        made.append(slug(label, made))
    return made


def named(labels: Sequence[str]) -> str:
    """“a”, “b” and “c”; of many the first few."""
    shown = [f"“{label}”" for label in labels[:NAMED]]
    return listed([*shown, f"{len(labels) - NAMED} more"] if len(labels) > NAMED else shown)


# ---- scores ----------------------------------------------------------------------------------------------------------------
def score(meaning: Meaning, compared: Compared, n: int) -> Score:
    """A measure as it is told; `n`: pictures, or things where those are counted."""
    found = compared.found
    asked = meaning.asked
    return Score(
        name=meaning.name,
        before=found.before,
        after=found.after,
        n=n,
        difference=found.difference,
        low=found.low,
        high=found.high,
        verdict=intervals.verdict(found, lower_is_better=meaning.lower_is_better) if asked else "",
        words=meaning.words,
        label=meaning.label,
        help=meaning.help,
        group=meaning.group,
        lower_is_better=meaning.lower_is_better,
        share=True,
        p=found.p if asked else 1.0,
        smallest=found.smallest if math.isfinite(found.smallest) else 0.0,
        more_rows=found.more_rows,
        between=compared.between,
    )


def corrected(scores: Sequence[Score]) -> tuple[Score, ...]:
    """The main score first and as it is; what may be chance among the others (Holm) is not called a difference."""
    main, others = scores[0].model_copy(update={"main": True}), scores[1:]
    asked = [one for one in others if one.verdict]
    chances = dict(zip([one.name for one in asked], holm([one.p for one in asked]), strict=True))

    def stands(one: Score) -> Score:
        p = chances[one.name]
        weakened = one.verdict in ("better", "worse") and p >= SURE
        return one.model_copy(update={"p": p, "verdict": "cannot tell yet" if weakened else one.verdict})

    return (main, *(stands(one) if one.verdict else one for one in others))


def told_chance(main: Score, units: int) -> str:
    """What an undecided measure could have shown; empty where it is decided."""
    if main.verdict != "cannot tell yet":
        return ""
    if units < FEWEST:
        return few(main.n, units)
    if main.smallest <= 0:
        return ""
    seen = f" With {count(main.n, 'picture')} only a difference of {points(main.smallest)} or more would have shown"
    return f"{seen}; about {main.more_rows:,} more would tell." if 0 < main.more_rows <= 100 * main.n else f"{seen}."


def few(n: int, units: int) -> str:
    """That so few pictures, or pictures of so few patients, tell nothing."""
    if units < n:
        return f" They are of only {count(units, 'patient or source', 'patients or sources')}, which is too few to tell."
    return f" {count(n, 'picture')} {plural(n, 'is', 'are')} too few to tell."


# ---- the probe -------------------------------------------------------------------------------------------------------------
def against_probe(name: str, probe: Statistic, after: Statistic, drawn: Draws, gains: Any = None) -> dict[str, Any]:
    """What learning inside the model added to the same measure over the frozen model with a head of its own, and the sentence for it."""
    compared = intervals.compare(probe, after, drawn, gains)
    found = compared.found
    word = intervals.verdict(found)
    return {
        "name": name,
        "probe": found.before,
        "after": found.after,
        "n": drawn.n,
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "p": found.p,
        "verdict": word,
        "words": _added(found, word),
    }


def _added(found: intervals.Difference, word: str) -> str:
    quick = "a quick look with fixed eyes"
    match word:
        case "better":
            return f"Training inside the model added {points(found.difference)} over {quick}, and that is no chance."
        case "worse":
            return f"Training inside the model cost {points(found.difference)} against {quick}: here the quick look alone does better."
        case _ if found.n < FEWEST:
            return f"Whether training inside the model added anything over {quick}, so few pictures cannot tell."
        case _ if found.difference == 0 and found.low == found.high == 0:
            return f"Training inside the model added nothing: {quick} does just as well."
        case _:
            room = f"the difference lies between {_signed(found.low)} and {_signed(found.high)}"
            return f"Training inside the model added nothing that can be seen over {quick}: {room}."


def _signed(difference: float) -> str:
    return f"{points(difference)} {'less' if difference < 0 else 'more'}"


# ---- near copies -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Leaks:
    """How many of the pictures kept aside are near copies of learned ones, or of the same patient."""

    alike: int
    heldout: int

    @property
    def spoilt(self) -> bool:
        """Whether most prove nothing."""
        return 2 * self.alike > self.heldout


def unleaked(seen: AnySeen, leaked: frozenset[int]) -> tuple[AnySeen, Leaks]:
    """What can be judged: without the pictures at the places `leaked`, or all where these are most of them, which then proves nothing."""
    inside = {place for place in leaked if 0 <= place < seen.n}
    leaks = Leaks(len(inside), seen.n)
    return (seen if leaks.spoilt or not inside else only(seen, [i for i in range(seen.n) if i not in inside])), leaks


def capped(found: Verdict, leaks: Leaks) -> Verdict:
    """No more than the pictures kept aside allow."""
    if not leaks.alike:
        return found
    if not leaks.spoilt:
        left = f"{count(leaks.alike, 'picture')} too much like what it learned from {plural(leaks.alike, 'was', 'were')} left out."
        return found.model_copy(update={"learned_words": f"{found.learned_words} {left}"})
    alike = f"{leaks.alike} of the {count(leaks.heldout, 'picture')} kept aside {plural(leaks.alike, 'is', 'are')}"
    what = f"{alike} nearly the same as one it learned from, or of the same patient or source: that proves nothing"
    hollow = found.usable != "no"
    told = f"{what}." if found.learned != "no" else f"{found.learned_words} And {what}."
    return found.model_copy(
        update={
            "learned": "unknown" if found.learned == "yes" else found.learned,
            "learned_words": told,
            "usable": "you_decide" if hollow else "no",
            "usable_words": "How it does on pictures that are really new, only you can tell: try it with some."
            if hollow
            else found.usable_words,
            "reach": "" if hollow else found.reach,
            "capped": f"{what}.",
        }
    )


# ---- the whole -------------------------------------------------------------------------------------------------------------
def judged(found: Found, leaks: Leaks, units: int) -> Judgement:
    """The judgement: “better” needs that it learned, and the same sentences stand everywhere."""
    main = found.scores[0]
    word, words = main.verdict, f"{main.words}{told_chance(main, units)}"
    conclusion = capped(found.conclusion, leaks)
    scores = found.scores
    if word == "better" and conclusion.learned != "yes":
        word, words = "cannot tell yet", conclusion.learned_words
        scores = (main.model_copy(update={"verdict": word}), *scores[1:])
    tables: dict[str, Any] = {main.name: found.table}
    if found.probe is not None:
        tables["probe"] = found.probe
        words = f"{words} {found.probe['words']}"
        conclusion = conclusion.model_copy(update={"learned_words": f"{conclusion.learned_words} {found.probe['words']}"})
    return Judgement(
        word,
        f"{words} {conclusion.but}".strip(),
        scores,
        rows={main.name: found.rows},
        tables=tables,
        samples=found.samples,
        conclusion=conclusion,
    )


def nothing(n: int = 0) -> Judgement:
    """The judgement where no picture was kept aside, or in `n` of them there is nothing to find."""
    words = f"In the {count(n, 'picture')} kept aside there is nothing to find." if n else "No picture was kept aside to test with."
    told = Verdict(
        learned="unknown", learned_words=words, usable="you_decide", usable_words="Try it with some of your own pictures: you decide."
    )
    return Judgement("cannot tell yet", words, (), conclusion=told)


def but(sentences: Sequence[str]) -> str:
    """What got worse, in at most two sentences; empty where nothing did."""
    return f"But: {' '.join(sentences[:2])}" if sentences else ""


def missed(checks: Sequence[Check], usable: Usable) -> tuple[str, ...]:
    """Names of the checks that are why it is not simply “yes”."""
    return () if usable == "yes" else tuple(check.name for check in checks if not check.passed)


def shown(quality: Sequence[float]) -> list[int]:
    """Places of pictures to look at: the worst first, then such as are usual. `quality`: the more the better."""
    order = sorted(range(len(quality)), key=lambda i: (quality[i], i))
    worst, rest = order[:WORST], order[WORST:]
    middle = len(rest) // 2
    return [*worst, *rest[max(0, middle - TYPICAL // 2) : middle - TYPICAL // 2 + TYPICAL if middle >= 1 else TYPICAL]]
