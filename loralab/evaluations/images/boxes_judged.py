"""Owns the judgement of things found in boxes: against the untrained head, against its own boxes laid on other pictures, against floors.

Floors. Yes: average precision at half overlap at least YES (the lower end of the interval), of no kind below EACH, and at least EACH of the
boxes that are shown are right. For some things: one kind of several reaches YES, or all together PARTLY. What is found and what is wrongly
marked is counted at one confidence, chosen on the watched pictures.
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
from loralab.evaluations.images import boxes, intervals
from loralab.evaluations.images.boxes import Matches
from loralab.evaluations.images.groups import groups
from loralab.evaluations.images.intervals import Compared, Draws, Ints, Statistic
from loralab.evaluations.images.seen import SeenBoxes
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
    so_many,
    unleaked,
)
from loralab.evaluations.shared.paired import FEWEST
from loralab.evaluations.shared.shares import Matrix

YES, EACH, PARTLY = 0.7, 0.5, 0.4
MOST_TOLD = 12  # kinds whose share found is a score of its own
DEALS = 5  # times its boxes are laid on other pictures
HALF = (0,)  # place of the overlap of one half among those that are settled
MAP50_HELP = (
    "Its boxes are gone through from the surest on; one is right where it and a thing of its kind overlap at least by half. How many are "
    "right, on average until all is found that can be, with each kind counted alike (mAP50)."
)
MAP_HELP = "The same, averaged over ever stricter demands on how exactly a box must sit (mAP, as for COCO)."


@dataclass(frozen=True)
class Sides:
    """Which boxes are right before and after, and of the probe where there was one, and from which confidence on a box is shown."""

    seen: SeenBoxes
    drawn: Draws
    before: Matches
    after: Matches
    probe: Matches | None
    confidence: float

    @cached_property
    def counted(self) -> tuple[Ints, Ints]:
        """How many things are found after, and how many boxes are shown, both [pictures, kinds]."""
        return boxes.found_each(self.after, self.confidence)

    @property
    def wanted(self) -> Ints:
        """How many things there are [pictures, kinds]."""
        return self.after.wanted

    @cached_property
    def kinds(self) -> list[int]:
        """Kinds of which there is something to find."""
        return np.flatnonzero(self.wanted.sum(0)).tolist()

    @cached_property
    def map50(self) -> Compared:
        return self.compared(lambda side: boxes.average_precision(side, HALF))

    @cached_property
    def quality(self) -> Matrix:
        """F1 of each picture [pictures]; 1 where there is nothing to find and nothing was found."""
        return _f1(*self.counted, self.wanted)

    @cached_property
    def dealt(self) -> float:
        """Average precision at half overlap of its boxes laid on other pictures, on average: what knowing the usual places is worth."""
        n = self.seen.n
        turns = sorted({max(1, round(n * (turn + 1) / (DEALS + 1))) % n for turn in range(DEALS)} - {0}) if n > 1 else []
        reached: list[float] = []
        for turn in turns:
            moved = [self.seen.after[(i + turn) % n] for i in range(n)]
            told = boxes.matched(self.seen.truth, moved, len(self.seen.labels), boxes.OVERLAPS[:1])
            reached.append(intervals.plain(boxes.average_precision(told), n))
        return float(np.mean(reached)) if reached else 0.0

    def compared(self, measure: Any) -> Compared:
        """A measure of matches before and after."""
        return intervals.compare(measure(self.before), measure(self.after), self.drawn)

    def precision_of(self, kind: int) -> Statistic:
        """Average precision at half overlap of one kind after."""
        return boxes.kind_precision(self.after, kind, HALF)


def judge_boxes(seen: SeenBoxes, leaked: frozenset[int] = frozenset()) -> Judgement:
    """Both answers on things found in boxes. `leaked`: places with a near copy, or the same patient, among the learned."""
    seen, leaks = unleaked(seen, leaked)
    if not seen.n or not any(len(one.kinds) for one in seen.truth):
        return nothing(seen.n)
    kinds = len(seen.labels)
    confidence = boxes.UNSURE if seen.confidence is None else seen.confidence
    if seen.confidence is None and seen.watch_truth:
        confidence = boxes.best_confidence(boxes.matched(seen.watch_truth, seen.watch_after, kinds, boxes.OVERLAPS[:1]))
    sides = Sides(
        seen,
        intervals.draws(seen.groups),
        boxes.matched(seen.truth, seen.before, kinds),
        boxes.matched(seen.truth, seen.after, kinds),
        boxes.matched(seen.truth, seen.probe, kinds, boxes.OVERLAPS[:1]) if seen.probe is not None else None,
        confidence,
    )
    scores = corrected(_scores(sides))
    samples = _samples(sides)
    worst = samples[0] if float(sides.quality.min()) < 1 else None
    found = Found(scores, _conclusion(sides, scores, worst), _probe(sides), _rows(sides), _table(sides), tuple(samples))
    return judged(found, leaks, sides.drawn.units)


def _f1(hits: Ints, said: Ints, wanted: Ints) -> Matrix:
    sizes = said.sum(1) + wanted.sum(1)
    return np.where(sizes > 0, 2 * hits.sum(1) / np.maximum(sizes, 1), 1.0)


# ---- scores ----------------------------------------------------------------------------------------------------------------
def _scores(sides: Sides) -> list[Score]:
    """Average precision first, then the strict one, what is found, what is rightly marked, and each kind."""
    n, at = sides.seen.n, sides.confidence
    strict = sides.compared(boxes.average_precision)
    hits, said = (side.sum(1) for side in sides.counted)
    there = sides.wanted.sum(1)
    found = sides.compared(lambda side: boxes.recall(side, at))
    found = Compared(found.found, intervals.share(hits, there, sides.drawn))
    sat = f"Counted ever more strictly by how exactly its boxes sit: {percent(strict.found.after)}; before: {percent(strict.found.before)}."
    told = [
        score(Meaning("map50", "Found in the right place (mAP50)", MAP50_HELP, _found(sides)), sides.map50, n),
        score(Meaning("map", "Found exactly in place (mAP)", MAP_HELP, sat), strict, n),
        score(Meaning("recall", "Found of all there is", _shown_from(sides), _found(sides)), found, n),
    ]
    if said.sum():
        right = sides.compared(lambda side: boxes.precision(side, at))
        was = boxes.found_each(sides.before, at)[1].sum()
        if not was:  # who shows nothing shows nothing wrong either: there is nothing to compare with
            now = intervals.plain(boxes.precision(sides.after, at), n)
            right = Compared(intervals.Difference(0.0, now, now, now, now, n), (0.0, 1.0))
        meaning = Meaning("precision", "Of its boxes, right", _shown_from(sides), _right_boxes(sides), asked=False)
        told.append(score(meaning, Compared(right.found, intervals.share(hits, said, sides.drawn)), n))
    return told + (_of_kinds(sides) if len(sides.seen.labels) <= MOST_TOLD else [])


def _shown_from(sides: Sides) -> str:
    return f"A box is shown, and counted here, from {percent(sides.confidence)} sureness on, chosen on the pictures watched while learning."


def _found(sides: Sides) -> str:
    hits, there = int(sides.counted[0].sum()), int(sides.wanted.sum())
    was = int(boxes.found_each(sides.before, sides.confidence)[0].sum())
    seen = f"On {count(sides.seen.n, 'picture')} it never saw, it found {so_many(hits)} of {count(there, 'thing')}"
    return f"{seen}; before: {so_many(was)}."


def _right_boxes(sides: Sides) -> str:
    hits, said = (int(side.sum()) for side in sides.counted)
    return f"Of its {count(said, 'box', 'boxes')}, {so_many(hits)} {plural(hits, 'is', 'are')} right." if said else "It shows no box."


def _of_kinds(sides: Sides) -> list[Score]:
    """How many are found of each kind."""
    told: list[Score] = []
    names, hits = slugs(sides.seen.labels), sides.counted[0]
    for kind in sides.kinds:
        label, there = sides.seen.labels[kind], sides.wanted[:, kind]
        compared = sides.compared(lambda side, kind=kind: boxes.recall(side, sides.confidence, kind))
        words = f"Of {count(int(there.sum()), 'thing')} that are “{label}”, it found {so_many(int(hits[:, kind].sum()))}."
        meaning = Meaning(f"recall_{names[kind]}", f"Found of “{label}”", _shown_from(sides), words, asked=False)
        told.append(score(meaning, Compared(compared.found, intervals.share(hits[:, kind], there, sides.drawn)), int(there.sum())))
    return told


def _probe(sides: Sides) -> dict[str, Any] | None:
    if sides.probe is None:
        return None
    measure = boxes.average_precision(sides.probe, HALF), boxes.average_precision(sides.after, HALF)
    return against_probe("map50", *measure, sides.drawn)


# ---- the two answers -------------------------------------------------------------------------------------------------------
def _conclusion(sides: Sides, scores: Sequence[Score], worst: Sample | None) -> Verdict:
    learned, learned_words = _learned(sides)
    usable, words, reach = _usable(sides, learned)
    empty = sides.seen.n >= FEWEST and not int(sides.counted[1].sum())
    if empty:
        usable, reach, words = "no", "", "It finds nothing, in any picture."
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
        alarm="empty" if empty else "",
        checks=checks,
    )


def _learned(sides: Sides) -> tuple[Learned, str]:
    """Against before, and against the same boxes laid on other pictures."""
    words = f"{_found(sides)} {_right_boxes(sides)}" if sides.counted[1].sum() else _found(sides)
    if sides.drawn.units < FEWEST:
        return "unknown", f"{words}{few(sides.seen.n, sides.drawn.units)}"
    found = sides.map50.found
    word = intervals.verdict(found)
    if word == "better":
        if sides.map50.between[0] > sides.dealt:
            return "yes", words
        return "unknown", f"{words} But its boxes fit other pictures nearly as well: it may only know the usual places."
    return ("unknown", f"{words} That could be chance.") if word == "cannot tell yet" and found.difference > 0 else ("no", words)


def _each(sides: Sides) -> list[tuple[int, float]]:
    """Average precision of each kind there is."""
    return [(kind, intervals.plain(sides.precision_of(kind), sides.seen.n)) for kind in sides.kinds]


def _usable(sides: Sides, learned: Learned) -> tuple[Usable, str, str]:
    labels, each = sides.seen.labels, _each(sides)
    low, _ = sides.map50.between
    hits, there = sides.counted[0].sum(1), sides.wanted.sum(1)
    least, most = intervals.share(hits, there, sides.drawn)
    found = int(hits.sum())
    said = f"{so_many(found)} of {count(int(there.sum()), 'thing')} {plural(found, 'is', 'are')} found."
    said = f"{said[0].upper()}{said[1:]}" + (f" {_right_boxes(sides)}" if sides.counted[1].sum() else "")
    if learned != "yes":
        if sides.map50.found.after >= YES and learned == "unknown":
            return "you_decide", f"{said} But that could be luck: try it with some of your own pictures.", ""
        return "no", said, ""
    expect = f"{said} Of 100 new things, expect it to find {100 * least:.0f} to {100 * most:.0f}."
    weak = [(value, f"“{labels[kind]}” ({_share_found(sides, kind)})") for kind, value in each if value < YES]
    told = f" Weak: {listed([words for _, words in sorted(weak)[:NAMED]])}." if weak else ""
    unseen = [label for kind, label in enumerate(labels) if kind not in sides.kinds]
    unknown = f" Of {named(unseen)} there was nothing to find: how it does there nobody knows." if unseen else ""
    good = [labels[kind] for kind, value in each if value >= YES]
    reach = f"for {len(good)} of {len(labels)} kinds" if 0 < len(good) < len(labels) else ""
    if low >= YES and all(value >= EACH for _, value in each) and _right_share(sides) >= EACH and not unseen:
        return "yes", f"{expect}{told}", reach
    if good or low >= PARTLY:
        works = f" It does well on {named(good)}." if reach else ""
        return "partly", f"{expect}{works}{told}{unknown}", reach
    return "no", f"{said}{told} That is too little to be of use.", ""


def _right_share(sides: Sides) -> float:
    """Share of the boxes shown that are right; 0 where none is shown."""
    hits, said = (int(side.sum()) for side in sides.counted)
    return hits / said if said else 0.0


def _share_found(sides: Sides, kind: int) -> str:
    hits, there, said = (int(side[:, kind].sum()) for side in (sides.counted[0], sides.wanted, sides.counted[1]))
    return f"{so_many(hits)} of {there:,} found, {so_many(said - hits)} wrongly marked"


def _checks(sides: Sides) -> tuple[Check, ...]:
    n, value, between = sides.seen.n, sides.map50.found.after, sides.map50.between
    kind, least = min(_each(sides), key=lambda one: one[1])
    label, near = sides.seen.labels[kind], intervals.interval(sides.precision_of(kind), sides.drawn)
    here, right, n_boxes = int(sides.wanted[:, kind].sum()), _right_share(sides), int(sides.counted[1].sum())
    of_boxes = intervals.share(sides.counted[0].sum(1), sides.counted[1].sum(1), sides.drawn)
    elsewhere = f"Laid on other pictures, its boxes would be worth {percent(sides.dealt)}."
    weakest = f"The weakest kind is “{label}”: {_share_found(sides, kind)}."
    return (
        Check(name="right", words=_found(sides), share=value, floor=YES, between=between, n=n, passed=between[0] >= YES),
        Check(name="knows", words=elsewhere, share=value, floor=sides.dealt, between=between, n=n, passed=between[0] > sides.dealt),
        Check(name="boxes", words=_right_boxes(sides), share=right, floor=EACH, between=of_boxes, n=n_boxes, passed=right >= EACH),
        Check(name="kinds", words=weakest, share=least, floor=EACH, between=near, n=here, passed=least >= EACH),
    )


def _lost(sides: Sides) -> list[str]:
    """Kinds of which the probe finds more."""
    if sides.probe is None:
        return []
    told: list[str] = []
    for kind in sides.kinds:
        if int(sides.wanted[:, kind].sum()) < FEWEST:
            continue
        was, now = (boxes.recall(side, sides.confidence, kind) for side in (sides.probe, sides.after))
        found = intervals.compare(was, now, sides.drawn).found
        if intervals.verdict(found) == "worse" and found.difference < -LOST:
            label = sides.seen.labels[kind]
            told.append(f"It finds less of “{label}”: {percent(found.after)}; with fixed eyes it was {percent(found.before)}.")
    return told


# ---- to look at ------------------------------------------------------------------------------------------------------------
def _things(labels: Sequence[str], counts: Ints) -> str:
    """“12 × RBC and 1 × Platelets”."""
    there = [f"{int(number):,} × {label}" for label, number in zip(labels, counts, strict=True) if number]
    return listed(there) or "nothing"


def _told(sides: Sides, side: Matches, place: int) -> str:
    """What is found in a picture, and what is marked wrongly."""
    hits, said = (one[place] for one in boxes.found_each(side, sides.confidence))
    wrong = int((said - hits).sum())
    extra = count(wrong, "wrong box", "wrong boxes")
    if not hits.any():
        return f"only {extra}" if wrong else "nothing"
    return _things(sides.seen.labels, hits) + (f", and {extra}" if wrong else "")


def _rows(sides: Sides) -> list[dict[str, Any]]:
    seen, (hits, said) = sides.seen, sides.counted
    was = boxes.found_each(sides.before, sides.confidence)
    before = _f1(*was, sides.wanted)
    return [
        {
            "row": int(seen.rows[i]),
            "media": seen.media[i],
            "group": seen.groups[i],
            "label": _things(seen.labels, sides.wanted[i]),
            "before": _told(sides, sides.before, i),
            "after": _told(sides, sides.after, i),
            "before_right": float(before[i]),
            "after_right": float(sides.quality[i]),
            "found": int(hits[i].sum()),
            "missed": int((sides.wanted[i] - hits[i]).sum()),
            "wrong": int((said[i] - hits[i]).sum()),
        }
        for i in range(seen.n)
    ]


def _table(sides: Sides) -> dict[str, Any]:
    hits, said = sides.counted
    kinds = [
        {
            "label": sides.seen.labels[kind],
            "n": int(sides.wanted[:, kind].sum()),
            "found": int(hits[:, kind].sum()),
            "said": int(said[:, kind].sum()),
            "recall": float(hits[:, kind].sum() / sides.wanted[:, kind].sum()),
            "precision": float(hits[:, kind].sum() / said[:, kind].sum()) if said[:, kind].sum() else None,
            "ap50": value,
            "ap50_between": intervals.interval(sides.precision_of(kind), sides.drawn),
        }
        for kind, value in _each(sides)
    ]
    order = np.argsort(sides.quality, kind="stable")
    return {
        "labels": list(sides.seen.labels),
        "confidence": sides.confidence,
        "per_class": kinds,
        "elsewhere": sides.dealt,
        "worst": [int(sides.seen.rows[i]) for i in order if sides.quality[i] < 1],
        "groups": groups(sides.seen, sides.quality, sides.drawn, whole=False),
    }


def _samples(sides: Sides) -> list[Sample]:
    return [
        Sample(
            prompt=sides.seen.media[i],
            reference=_things(sides.seen.labels, sides.wanted[i]),
            before=_told(sides, sides.before, i),
            after=_told(sides, sides.after, i),
        )
        for i in shown(sides.quality.tolist())
    ]
