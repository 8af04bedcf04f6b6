"""Owns both answers on sorted pictures: held against always the commonest kind, and against floors of being right.

Floors. Yes: at least YES of new pictures right (the lower end of the interval), surely more than always the commonest kind would be, and no
kind found less often than FOUND. For some things: one kind at least works, and more than PARTLY are right or some kinds work and others do
not. A kind works when it is found, and when what is called so is right, WORKS of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from loralab.core.records import Sample, Score
from loralab.core.verdict import Check, Verdict
from loralab.core.words import count, listed, plural
from loralab.evaluations.images import classes, intervals
from loralab.evaluations.images.classes_scores import accuracy, sorted_right
from loralab.evaluations.images.classes_sides import Sides
from loralab.evaluations.images.told import LOST, NAMED, Learned, Usable, but, few, missed, named, percent, so_many
from loralab.evaluations.shared.paired import FEWEST

YES, FOUND, PARTLY, WORKS = 0.8, 0.5, 0.5, 2 / 3
TOO_SURE = 0.05  # by so much it may surely say it is surer than it is right


@dataclass(frozen=True)
class Standing:
    """How each kind does: names of those that work, the others with their numbers, the worst first, and the one that is found least."""

    working: list[str]
    poor: list[str]
    weakest: int
    least: float


def conclude(sides: Sides, scores: Sequence[Score], worst: Sample | None) -> Verdict:
    """Both answers, with what they rest on."""
    standing = _standing(sides)
    learned, learned_words = _learned(sides)
    usable, words, reach = _usable(sides, standing, learned)
    if alike := sides.n >= FEWEST and len(sides.kinds) > 1 and len(np.unique(sides.said)) == 1:
        usable, reach = "no", ""
        words = f"It calls every picture “{sides.labels[int(sides.said[0])]}”, whatever it shows."
    checks = _checks(sides, standing)
    return Verdict(
        learned=learned,
        learned_words=learned_words,
        usable=usable,
        usable_words=words,
        reach=reach,
        but=but(_worse(sides, scores)),
        floors=missed(checks, usable),
        worst=worst,
        alarm="alike" if alike else "",
        checks=checks,
    )


def _learned(sides: Sides) -> tuple[Learned, str]:
    """Against always the commonest kind; with two uneven kinds, telling them apart is enough."""
    words = sorted_right(sides)
    if sides.drawn.units < FEWEST:
        return "unknown", f"{words}{few(sides.n, sides.drawn.units)}"
    if len(sides.kinds) < 2:
        return "unknown", f"{words} With one kind kept aside alone, nobody can tell whether it knows kinds apart."
    if intervals.verdict(sides.gain.found) == "better" and (sides.seen.before is None or accuracy(sides).verdict == "better"):
        return "yes", words
    if sides.uneven and min(sides.counts) >= FEWEST and intervals.verdict(sides.apart.found) == "better":
        told = percent(sides.apart.found.after)
        return "yes", f"{words} Still, it tells them apart: of one picture of each kind it knows which is which in {told} of cases."
    if sides.gain.found.difference <= 0:
        return "no", f"{words} So it knows no more than which kind is common."
    return "unknown", f"{words} That could be chance."


def _standing(sides: Sides) -> Standing:
    working, poor, least = list[str](), list[tuple[float, str]](), list[tuple[float, int]]()
    for kind in sides.kinds:
        hits, n, said = sides.of_kind(kind)
        label = sides.labels[kind]
        least.append((hits / n, kind))
        if hits < WORKS * n:
            poor.append((hits / n, f"“{label}” ({so_many(hits)} of {n:,} found)"))
        elif hits < WORKS * said:
            poor.append((hits / said, f"“{label}” (right {hits:,} of the {count(said, 'time')} it says so)"))
        else:
            working.append(label)
    share, weakest = min(least)
    return Standing(working, [told for _, told in sorted(poor)], weakest, share)


def _right(sides: Sides) -> str:
    now = int(sides.good.sum())
    return f"{so_many(now)} of {sides.n:,} {plural(now, 'is', 'are')} right."


def _usable(sides: Sides, standing: Standing, learned: Learned) -> tuple[Usable, str, str]:
    """The answer, its words, and how far it reaches."""
    now, said = int(sides.good.sum()), _right(sides)
    said = said[0].upper() + said[1:]
    if learned != "yes":
        if now >= YES * sides.n and (now > sides.by_habit or len(sides.kinds) < 2):
            return "you_decide", f"{said} But that could be luck: try it with some of your own.", ""
        return "no", f"{said} Always saying “{sides.labels[sides.commonest]}” would be right for {sides.by_habit:,}.", ""
    low, high = sides.between
    unseen = [label for label, n in zip(sides.labels, sides.counts, strict=True) if not n]
    some = 0 < len(standing.working) < len(sides.labels)
    reach = f"for {len(standing.working)} of {len(sides.labels)} kinds" if some else ""
    expect = f"{said} Of 100 new ones, expect {100 * low:.0f} to {100 * high:.0f} right."
    weak = f" Weak: {listed(standing.poor[:NAMED])}." if standing.poor else ""
    unknown = f" Of {named(unseen)} no picture was kept aside: how it does there nobody knows." if unseen else ""
    if low >= YES and intervals.verdict(sides.gain.found) == "better" and standing.least >= FOUND and not unseen:
        return "yes", f"{expect}{weak}{_doubtful(sides)}", reach
    if standing.working and (now > PARTLY * sides.n or reach):
        works = f" It does well on {named(standing.working)}." if some else ""
        return "partly", f"{expect}{works}{weak}{unknown}{_doubtful(sides)}", reach
    return "no", f"{said}{weak} That is too often wrong to be of use.", ""


def _doubtful(sides: Sides) -> str:
    """What saying “I do not know” is good for, where a threshold was chosen."""
    if sides.threshold <= 0:
        return ""
    sure = sides.after.max(1) >= sides.threshold
    kept, hits = int(sure.sum()), int((sides.good & sure).sum())
    when = f" Less than {percent(sides.threshold)} sure, it says “I do not know”"
    if not kept:
        return f"{when}: to all of these."
    if kept == sides.n:
        return f"{when}: to none of these."
    rest = f"of the other {kept:,}, {so_many(hits)} {plural(hits, 'is', 'are')} right" if kept > 1 else "one is left"
    return f"{when}: to {sides.n - kept:,} of these; {rest}."


def _checks(sides: Sides, standing: Standing) -> tuple[Check, ...]:
    """Right often enough; knows more than what is common; leaves no kind out."""
    share = float(sides.good.mean())
    common = f"Always saying “{sides.labels[sides.commonest]}” would be right for {sides.by_habit:,} of {sides.n:,}."
    hits, there, _ = sides.of_kind(standing.weakest)
    here = sides.truth == standing.weakest
    least = f"Of “{sides.labels[standing.weakest]}”, {so_many(hits)} of {there:,} {plural(hits, 'is', 'are')} found."
    said, between, more = _right(sides), sides.between, intervals.verdict(sides.gain.found) == "better"
    said = said[0].upper() + said[1:]
    weakest = intervals.share(sides.good & here, here, sides.drawn)
    return (
        Check(name="right", words=said, share=share, floor=YES, between=between, n=sides.n, passed=between[0] >= YES),
        Check(name="knows", words=common, share=share, floor=sides.by_habit / sides.n, between=between, n=sides.n, passed=more),
        Check(name="kinds", words=least, share=standing.least, floor=FOUND, between=weakest, n=there, passed=standing.least >= FOUND),
    )


def _worse(sides: Sides, scores: Sequence[Score]) -> list[str]:
    """What got worse: a measure, a kind that the probe found better, and saying that it is surer than it is right."""
    found = [one.words for one in scores[1:] if one.verdict == "worse"]
    found += [told for kind in sides.kinds if sides.counts[kind] >= FEWEST and (told := _lost(sides, kind))]
    sure = sides.after.max(1)
    gap = intervals.compare(intervals.mean(sides.good), intervals.mean(sure), sides.drawn, sure - sides.good).found
    if intervals.verdict(gap) == "better" and gap.low > TOO_SURE:
        found.append(f"It is too sure of itself: {percent(gap.after)} sure on average, and {percent(gap.before)} right.")
    return found


def _lost(sides: Sides, kind: int) -> str:
    """That a kind is never found, or less often than by the probe."""
    hits, there, said = sides.of_kind(kind)
    label, here = sides.labels[kind], sides.truth == kind
    if not said:
        return f"It never says “{label}”."
    if sides.seen.probe is None:
        return ""
    probe = classes.right(sides.truth, sides.seen.probe) & here
    now = sides.good & here
    lost = intervals.compare(intervals.mean(probe, here), intervals.mean(now, here), sides.drawn, now * 1.0 - probe).found
    if intervals.verdict(lost) != "worse" or lost.difference > -LOST:
        return ""
    return f"It finds less of “{label}”: {so_many(hits)} of {there:,}; with fixed eyes it was {int(probe.sum()):,}."
