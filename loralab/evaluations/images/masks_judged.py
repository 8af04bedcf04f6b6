"""Owns the judgement of marked areas: against the untrained head, against answers that need no look at the picture, and against floors.

Floors. Yes: marks agree to YES on average (the lower end of the interval), and hardly a picture (one in fifty) less than WORST. For some
things: one kind of several reaches YES, or WELL of the pictures do, or all agree to PARTLY on average.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from loralab.core.judgement import Judgement
from loralab.core.records import Sample, Score
from loralab.core.verdict import Check, Verdict
from loralab.core.words import count, listed, plural
from loralab.evaluations.images import intervals
from loralab.evaluations.images.groups import groups
from loralab.evaluations.images.intervals import Compared, Draws
from loralab.evaluations.images.masks import Marked, Mask, coarse, habits, marked
from loralab.evaluations.images.seen import SeenMasks
from loralab.evaluations.images.told import (
    LOST,
    NAMED,
    Found,
    Learned,
    Meaning,
    Usable,
    against_probe,
    but,
    corrected,
    few,
    judged,
    missed,
    named,
    nothing,
    percent,
    score,
    shown,
    slugs,
    unleaked,
)
from loralab.evaluations.shared.paired import FEWEST
from loralab.evaluations.shared.shares import Matrix

YES, WORST, PARTLY, WELL = 0.8, 0.3, 0.5, 0.5
FEW = 0.02  # share of pictures that may be marked worse than WORST
HELP = "Twice the area that both mark, by the sum of both areas (Dice): 100 % is the very same mark, 0 % has nothing in common."


@dataclass(frozen=True)
class Sides:
    """How well pictures are marked before and after, and by the probe where there was one."""

    seen: SeenMasks
    drawn: Draws
    before: Marked
    after: Marked
    probe: Marked | None

    @cached_property
    def was(self) -> Matrix:
        """Dice of each picture before [pictures]."""
        return self.before.of_pictures(self.before.dice)

    @cached_property
    def now(self) -> Matrix:
        """Dice of each picture after [pictures]."""
        return self.after.of_pictures(self.after.dice)

    @cached_property
    def dice(self) -> Compared:
        return _paired(self.was, self.now, self.drawn)

    @cached_property
    def trivial(self) -> tuple[str, Compared]:
        """The answer without a look at the picture that agrees best, and how much better these marks are."""
        found: list[tuple[float, str, Matrix]] = []
        kinds = len(self.seen.labels)
        truths = [coarse(truth) for truth in self.seen.truth]
        for name, masks in habits(truths, self.seen.watch_truth, kinds).items():
            told = marked(truths, masks, kinds, edges=False)
            values = told.of_pictures(told.dice)
            found.append((float(values.mean()), name, values))
        _, name, values = max(found, key=lambda one: one[0])
        return name, _paired(values, self.now, self.drawn)


def judge_masks(seen: SeenMasks, leaked: frozenset[int] = frozenset()) -> Judgement:
    """Both answers on marked areas. `leaked`: places with a near copy, or the same patient, among the learned."""
    seen, leaks = unleaked(seen, leaked)
    if not seen.n:
        return nothing()
    kinds = len(seen.labels)
    sides = Sides(
        seen,
        intervals.draws(seen.groups),
        marked(seen.truth, seen.before, kinds),
        marked(seen.truth, seen.after, kinds),
        marked(seen.truth, seen.probe, kinds, edges=False) if seen.probe is not None else None,
    )
    scores = corrected(_scores(sides))
    samples = _samples(sides)
    worst = samples[0] if float(sides.now.min()) < YES else None
    return judged(
        Found(scores, _conclusion(sides, scores, worst), _probe(sides), _rows(sides), _table(sides), tuple(samples)),
        leaks,
        sides.drawn.units,
    )


# ---- scores ----------------------------------------------------------------------------------------------------------------
def _paired(was: Matrix, now: Matrix, drawn: Draws) -> Compared:
    return intervals.compare(intervals.mean(was), intervals.mean(now), drawn, now - was)


def _scores(sides: Sides) -> list[Score]:
    """Agreement first, then the stricter ones, the worst picture, and each kind where there are several."""
    found = [score(Meaning("dice", "Marked alike (Dice)", HELP, _agrees(sides)), sides.dice, sides.seen.n)]
    for name, label, says, help_text in (
        (
            "iou",
            "Marked alike, counted strictly (IoU)",
            "Counted strictly, its marks agree to",
            "The area both mark, by the area either marks.",
        ),
        (
            "boundary",
            "Edges in the right place",
            "Its edges are in the right place to",
            "How much of each one's edges lies close to the other's.",
        ),
    ):
        was, now = (side.of_pictures(getattr(side, name)) for side in (sides.before, sides.after))
        words = f"{says} {percent(float(now.mean()))}; before: {percent(float(was.mean()))}."
        found.append(score(Meaning(name, label, help_text, words), _paired(was, now, sides.drawn), sides.seen.n))
    return [*found, _worst(sides), *(_of_kinds(sides) if len(sides.seen.labels) > 1 else [])]


def _agrees(sides: Sides) -> str:
    now, was = percent(float(sides.now.mean())), percent(float(sides.was.mean()))
    return f"On {count(sides.seen.n, 'picture')} it never saw, what it marks agrees to {now} with your marks; before: {was}."


def _worst(sides: Sides) -> Score:
    """The picture that is marked worst: a single one, so that there is no interval."""
    was, now = float(sides.was.min()), float(sides.now.min())
    return Score(
        name="worst_dice",
        before=was,
        after=now,
        n=sides.seen.n,
        difference=now - was,
        low=now - was,
        high=now - was,
        words=f"The worst picture is marked alike to {percent(now)}.",
        label="The worst picture",
        help=f"How well the picture is marked that it marks worst. {HELP}",
        group="accuracy",
        share=True,
    )


def _of_kinds(sides: Sides) -> list[Score]:
    """The agreement on each kind, over the pictures that show it."""
    told: list[Score] = []
    for kind, (name, label) in enumerate(zip(slugs(sides.seen.labels), sides.seen.labels, strict=True)):
        values = _kind(sides, kind)
        if not values[2].any():
            continue
        was, now, here = values
        compared = intervals.compare(intervals.mean(was * here, here), intervals.mean(now * here, here), sides.drawn)
        words = f"“{label}” is marked alike to {percent(compared.found.after)}; before: {percent(compared.found.before)}."
        meaning = Meaning(f"dice_{name}", f"“{label}” marked alike", HELP, words, asked=False)
        told.append(score(meaning, compared, int(here.sum())))
    return told


def _kind(sides: Sides, kind: int) -> tuple[Matrix, Matrix, Matrix]:
    """Dice of a kind in each picture before and after, and (1 or 0) whether it is there, in the truth or in the mark after."""
    there = sides.after.present[:, kind].astype(np.float64)
    return sides.before.dice[:, kind], sides.after.dice[:, kind], there


def _probe(sides: Sides) -> dict[str, Any] | None:
    if sides.probe is None:
        return None
    values = sides.probe.of_pictures(sides.probe.dice)
    return against_probe("dice", intervals.mean(values), intervals.mean(sides.now), sides.drawn, sides.now - values)


# ---- the two answers -------------------------------------------------------------------------------------------------------
def _conclusion(sides: Sides, scores: Sequence[Score], worst: Sample | None) -> Verdict:
    learned, learned_words = _learned(sides)
    usable, words, reach = _usable(sides, learned)
    empty = sides.seen.n >= FEWEST and not any((np.asarray(m) > 0).any() for m in sides.seen.after)
    wanted = any((np.asarray(m) > 0).any() for m in sides.seen.truth)
    if empty and wanted:
        usable, reach, words = "no", "", "It marks nothing, in any picture."
    checks = _checks(sides)
    return Verdict(
        learned=learned,
        learned_words=learned_words,
        usable=usable,
        usable_words=words,
        reach=reach,
        but=but([one.words for one in scores[1:] if one.verdict == "worse"] + _lost(sides)),
        floors=missed(checks, usable),
        worst=worst,
        alarm="empty" if empty and wanted else "",
        checks=checks,
    )


def _learned(sides: Sides) -> tuple[Learned, str]:
    """Against before, and against the best answer that needs no look at the picture."""
    name, over = sides.trivial
    best = f"Without looking, marking {_habit(sides, name)} would agree to {percent(over.found.before)}."
    words = f"{_agrees(sides)} {best}"
    if sides.drawn.units < FEWEST:
        return "unknown", f"{words}{few(sides.seen.n, sides.drawn.units)}"
    words_of = [intervals.verdict(one.found) for one in (sides.dice, over)]
    if words_of == ["better", "better"]:
        return "yes", words
    if sides.dice.found.difference <= 0 or over.found.difference <= 0 or not {*words_of} <= {"better", "cannot tell yet"}:
        return "no", words
    return "unknown", f"{words} The difference could be chance."


def _habit(sides: Sides, name: str) -> str:
    kind, _, number = name.partition(" ")
    if kind != "everything":
        return name
    return "everything" if len(sides.seen.labels) == 1 else f"everything as “{sides.seen.labels[int(number) - 1]}”"


def _usable(sides: Sides, learned: Learned) -> tuple[Usable, str, str]:
    n, mean = sides.seen.n, float(sides.now.mean())
    low, high = sides.dice.between
    said = f"What it marks agrees to {percent(mean)} with yours."
    if learned != "yes":
        if mean >= YES and sides.trivial[1].found.difference > 0:
            return "you_decide", f"{said} But that could be luck: try it with some of your own pictures.", ""
        return "no", f"{said} That is not surely better than marking without a look at the picture.", ""
    well, bad = int((sides.now >= YES).sum()), int((sides.now < WORST).sum())
    expect = f"{said} On new pictures, expect {percent(low)} to {percent(high)} on average."
    worst = f" The worst of {count(n, 'picture')}: {percent(float(sides.now.min()))}." if n > 1 else ""
    if low >= YES and bad <= FEW * n and not _weak(sides):
        return "yes", f"{expect}{worst}", ""
    good, weak = _good(sides), _weak(sides)
    told = f" Weak: {listed(weak[:NAMED])}." if weak else ""
    if good and len(good) < len(sides.seen.labels):
        return "partly", f"{expect} It does well on {named(good)}.{told}", f"for {len(good)} of {len(sides.seen.labels)} kinds"
    if well >= WELL * n or low >= PARTLY:
        poor = f" {count(bad, 'picture')} {plural(bad, 'is', 'are')} marked quite wrongly." if bad else ""
        reach = f"for {well:,} of {count(n, 'picture')}" if 0 < well < n else ""
        return "partly", f"{expect}{worst}{poor}{told}", reach
    return "no", f"{said}{worst} That is too far off to be of use.", ""


def _each(sides: Sides) -> list[tuple[str, float, float]]:
    """Of several kinds that are there: name, mean agreement and the lower end of its interval."""
    if len(sides.seen.labels) < 2:
        return []
    told: list[tuple[str, float, float]] = []
    for kind, label in enumerate(sides.seen.labels):
        _, now, here = _kind(sides, kind)
        if here.any():
            of = intervals.mean(now * here, here)
            told.append((label, intervals.plain(of, sides.seen.n), intervals.interval(of, sides.drawn)[0]))
    return told


def _good(sides: Sides) -> list[str]:
    return [label for label, _, low in _each(sides) if low >= YES]


def _weak(sides: Sides) -> list[str]:
    return [f"“{label}” ({percent(mean)})" for label, mean, _ in sorted(_each(sides), key=lambda one: one[1]) if mean < PARTLY]


def _checks(sides: Sides) -> tuple[Check, ...]:
    n, bad = sides.seen.n, int((sides.now < WORST).sum())
    mean, between = float(sides.now.mean()), sides.dice.between
    _, over = sides.trivial
    kept = f"{count(bad, 'picture')} of {n:,} {plural(bad, 'agrees', 'agree')} to less than {percent(WORST)}."
    looks = f"Without looking it would be {percent(over.found.before)}."
    fine = intervals.share(sides.now >= WORST, 1.0, sides.drawn)
    return (
        Check(
            name="right", words=f"Marked alike to {percent(mean)}.", share=mean, floor=YES, between=between, n=n, passed=between[0] >= YES
        ),
        Check(
            name="knows",
            words=looks,
            share=mean,
            floor=over.found.before,
            between=between,
            n=n,
            passed=intervals.verdict(over.found) == "better",
        ),
        Check(name="worst", words=kept, share=1 - bad / n, floor=1 - FEW, between=fine, n=n, passed=bad <= FEW * n),
    )


def _lost(sides: Sides) -> list[str]:
    """Kinds that the probe marks better."""
    if sides.probe is None or len(sides.seen.labels) < 2:
        return []
    told: list[str] = []
    for kind, label in enumerate(sides.seen.labels):
        here = sides.after.present[:, kind] | sides.probe.present[:, kind]
        if int(here.sum()) < FEWEST:
            continue
        was, now = sides.probe.dice[:, kind] * here, sides.after.dice[:, kind] * here
        found = intervals.compare(intervals.mean(was, here), intervals.mean(now, here), sides.drawn, now - was).found
        if intervals.verdict(found) == "worse" and found.difference < -LOST:
            told.append(f"“{label}” is marked worse: {percent(found.after)}; with fixed eyes it was {percent(found.before)}.")
    return told


# ---- to look at ------------------------------------------------------------------------------------------------------------
def _rows(sides: Sides) -> list[dict[str, Any]]:
    probe = sides.probe.of_pictures(sides.probe.dice) if sides.probe is not None else None
    edges = sides.after.of_pictures(sides.after.boundary)
    told: list[dict[str, Any]] = []
    for i in range(sides.seen.n):
        row: dict[str, Any] = {
            "row": int(sides.seen.rows[i]),
            "media": sides.seen.media[i],
            "group": sides.seen.groups[i],
            "label": _areas(sides.seen, sides.seen.truth[i]),
            "before": _areas(sides.seen, sides.seen.before[i]),
            "after": _areas(sides.seen, sides.seen.after[i]),
            "before_right": float(sides.was[i]),
            "after_right": float(sides.now[i]),
            "dice": float(sides.now[i]),
            "boundary": float(edges[i]),
        }
        told.append(row if probe is None else row | {"probe": float(probe[i])})
    return told


def _areas(seen: SeenMasks, mask: Mask) -> str:
    """How much of a picture is marked as what."""
    shares = [(label, float((np.asarray(mask) == kind).mean())) for kind, label in enumerate(seen.labels, 1)]
    there = [f"{label}: {percent(share)}" for label, share in shares if share]
    return f"{listed(there)} of the picture" if there else "nothing marked"


def _table(sides: Sides) -> dict[str, Any]:
    kinds = [
        {
            "label": label,
            "n": int(sides.after.present[:, kind].sum()),
            **{
                name: intervals.plain(intervals.mean(getattr(sides.after, name)[:, kind] * here, here), sides.seen.n)
                if here.any()
                else None
                for name in ("dice", "iou", "boundary")
                for here in [sides.after.present[:, kind].astype(np.float64)]
            },
        }
        for kind, label in enumerate(sides.seen.labels)
    ]
    name, over = sides.trivial
    order = np.argsort(sides.now, kind="stable")
    return {
        "labels": list(sides.seen.labels),
        "per_class": kinds,
        "without_looking": {"what": name, "dice": over.found.before},
        "worst": [int(sides.seen.rows[i]) for i in order if sides.now[i] < YES],
        "groups": groups(sides.seen, sides.now, sides.drawn, whole=False),
    }


def _samples(sides: Sides) -> list[Sample]:
    return [
        Sample(
            prompt=sides.seen.media[i],
            reference=_areas(sides.seen, sides.seen.truth[i]),
            before=f"{_areas(sides.seen, sides.seen.before[i])}, alike to {percent(float(sides.was[i]))}",
            after=f"{_areas(sides.seen, sides.seen.after[i])}, alike to {percent(float(sides.now[i]))}",
        )
        for i in shown(sides.now.tolist())
    ]
