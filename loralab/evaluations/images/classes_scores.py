"""Owns the scores of sorted pictures. Which one carries the verdict is decided by how often each kind was learned from, never by what came
out. Per kind, and of how sure it is, nothing is asked: against always saying the same they mean no better and no worse.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from loralab.core.records import Score
from loralab.core.words import count
from loralab.evaluations.images import classes, intervals
from loralab.evaluations.images.classes_sides import Sides, positive
from loralab.evaluations.images.intervals import Bools, Compared, Ints, Statistic
from loralab.evaluations.images.told import Meaning, against_probe, percent, points, score, slugs, so_many
from loralab.evaluations.shared.paired import FEWEST
from loralab.evaluations.shared.shares import Matrix

MOST_TOLD = 12  # kinds whose share found is a score of its own
Measure = Callable[[Ints, Matrix], Statistic]


def scores_of(sides: Sides) -> list[Score]:
    """The main one first: being right, or, of two uneven kinds, telling them apart."""
    found = [accuracy(sides), _f1(sides)]
    if len(sides.kinds) > 1:
        apart = _auc(sides)
        found = [apart, *found] if sides.uneven else [*found, apart]
    if len(sides.labels) == 2:
        found += _at_the_point(sides)
    found.append(_calibration(sides))
    return found + (_of_kinds(sides) if len(sides.labels) <= MOST_TOLD else [])


def probe_of(sides: Sides, main: str) -> dict[str, Any] | None:
    """What learning inside the model added to the main measure; None where there was no probe."""
    probe = sides.seen.probe
    if probe is None:
        return None
    measure = classes.macro_auc if main == "auc" else classes.accuracy
    gains = sides.good.astype(np.float64) - classes.right(sides.truth, probe) if main == "accuracy" else None
    return against_probe(main, measure(sides.truth, probe), measure(sides.truth, sides.after), sides.drawn, gains)


def sorted_right(sides: Sides) -> str:
    """How many are right, and how many would be without looking."""
    seen = f"Of {count(sides.n, 'picture')} it never saw, it sorted {so_many(int(sides.good.sum()))} right"
    return f"{seen}; always saying “{sides.labels[sides.commonest]}” would be right for {sides.by_habit:,}."


def _compared(sides: Sides, measure: Measure, gains: npt.ArrayLike | None = None) -> Compared:
    return intervals.compare(measure(sides.truth, sides.before), measure(sides.truth, sides.after), sides.drawn, gains)


def accuracy(sides: Sides) -> Score:
    """How often the likeliest kind is the right one."""
    compared = _compared(sides, classes.accuracy, sides.good.astype(np.float64) - sides.was)
    meaning = Meaning("accuracy", "Sorted right", "How often the kind it thinks most likely is the right one.", sorted_right(sides))
    return score(meaning, Compared(compared.found, sides.between), sides.n)


def _auc(sides: Sides) -> Score:
    compared = _compared(sides, classes.macro_auc)
    told = percent(compared.found.after)
    seen = f"On {count(sides.n, 'picture')} it never saw, of two of different kinds it knows which is which in {told} of cases"
    words = f"{seen}; guessing reaches 50 %."
    help_text = (
        "How often, of a picture of a kind and one of another, the first seems to it more like that kind (AUC). Guessing reaches 50 %."
    )
    found = score(Meaning("auc", "Told apart (AUC)", help_text, words), compared, sides.n)
    scarce = len(sides.labels) == 2 and min(sides.counts) < FEWEST
    return found.model_copy(update={"verdict": "cannot tell yet"}) if scarce else found


def _f1(sides: Sides) -> Score:
    compared = _compared(sides, classes.macro_f1)
    now, before = percent(compared.found.after), percent(compared.found.before)
    words = f"With each kind counted alike, it is right and complete to {now}; before: {before}."
    help_text = "Right and complete for each kind, averaged so that rare kinds count as much as common ones (macro-F1)."
    asked = sides.seen.before is not None  # guessing wildly reaches more of it than always saying the same, and knows as little
    return score(Meaning("macro_f1", "Right and complete, every kind alike", help_text, words, asked=asked), compared, sides.n)


def _at_the_point(sides: Sides) -> list[Score]:
    """Sensitivity and specificity at the point that was chosen on the watched pictures; of a kind that was kept aside."""
    wanted = positive(sides.labels, sides.seen.positive)
    looked_for, told = sides.labels[wanted], list[Score]()
    for name, kind in (("sensitivity", wanted), ("specificity", 1 - wanted)):
        here = sides.truth == kind
        if not here.any():
            continue
        was, now = ((side[:, wanted] >= sides.point) == (kind == wanted) for side in (sides.before, sides.after))
        n, hits = int(here.sum()), so_many(int((now & here).sum()))
        took = f"it recognises {hits}" if kind == wanted else f"it takes {hits} for such"
        where = f"A picture is taken for “{looked_for}” from {percent(sides.point)} sureness on"
        help_text = f"{where}, the point that told both apart best on the pictures watched while learning."
        meaning = Meaning(
            name,
            f"{name.capitalize()} for “{looked_for}”",
            f"How many of the pictures of “{sides.labels[kind]}” it takes for such. {help_text}",
            f"Of {count(n, 'picture')} of “{sides.labels[kind]}”, {took}.",
            asked=False,
        )
        told.append(score(meaning, _found_of(sides, was, now, here), n))
    return told


def _found_of(sides: Sides, was: Bools, now: Bools, here: Bools) -> Compared:
    compared = intervals.compare(classes.recall(was, here), classes.recall(now, here), sides.drawn)
    return Compared(compared.found, intervals.share(now & here, here, sides.drawn))


def _calibration(sides: Sides) -> Score:
    compared = _compared(sides, classes.ece)
    words = f"What it says of its sureness is on average {points(compared.found.after)} away from how often it is right."
    help_text = (
        "How far what it says of its sureness is from how often it is right (calibration error). Whoever says the same to every picture is "
        "hardly ever off, so that a small number means something only beside many right answers."
    )
    meaning = Meaning("ece", "How far off its sureness is", help_text, words, lower_is_better=True, asked=False)
    return score(meaning, compared, sides.n)


def _of_kinds(sides: Sides) -> list[Score]:
    """How many are found of each kind that was kept aside."""
    names, told = slugs(sides.labels), list[Score]()
    for kind in sides.kinds:
        hits, n, _ = sides.of_kind(kind)
        label = sides.labels[kind]
        words = f"Of {count(n, 'picture')} of “{label}”, it sorted {so_many(hits)} right."
        help_text = f"How many of the pictures of “{label}” it sorts under that name."
        meaning = Meaning(f"recall_{names[kind]}", f"Found of “{label}”", help_text, words, asked=False)
        told.append(score(meaning, _found_of(sides, sides.was, sides.good, sides.truth == kind), n))
    return told
