"""Owns what is kept of sorted pictures to look at: each picture, the tables, and a few to show."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from loralab.core.records import Sample
from loralab.evaluations.images import classes, intervals
from loralab.evaluations.images.classes_sides import Sides, positive
from loralab.evaluations.images.groups import groups
from loralab.evaluations.images.told import shown
from loralab.evaluations.shared.shares import Matrix


def quality(sides: Sides) -> Matrix:
    """How good each answer is: the probability of the right kind, and wrong ones below all right ones [pictures]."""
    of_truth = sides.after[np.arange(sides.n), sides.truth]
    return np.where(sides.good, of_truth, of_truth - 1)


def rows(sides: Sides) -> list[dict[str, Any]]:
    """One per picture, in their order."""
    seen, labels = sides.seen, sides.labels
    probe = seen.probe.argmax(1) if seen.probe is not None else None
    told: list[dict[str, Any]] = []
    for i in range(sides.n):
        confidence = float(sides.after[i].max())
        row: dict[str, Any] = {
            "row": int(seen.rows[i]),
            "media": seen.media[i],
            "group": seen.groups[i],
            "label": labels[int(sides.truth[i])],
            "before": labels[int(sides.before[i].argmax())],
            "after": labels[int(sides.said[i])],
            "before_right": bool(sides.was[i]),
            "after_right": bool(sides.good[i]),
            "confidence": round(confidence, 4),
            "of_label": round(float(sides.after[i, sides.truth[i]]), 4),
            "knows": confidence >= sides.threshold,
        }
        if probe is not None:
            row["probe"] = labels[int(probe[i])]
        told.append(row)
    return told


def table(sides: Sides) -> dict[str, Any]:
    """What a page may draw, and what goes with the model: the temperature, the threshold and the point."""
    before, after = sides.before.argmax(1), sides.said
    plain = {name: intervals.plain(of(sides.truth, sides.after), sides.n) for name, of in MEASURES.items()}
    untempered = intervals.plain(classes.ece(sides.truth, sides.seen.after), sides.n)
    answered = sides.after.max(1) >= sides.threshold
    looked_for = {"positive": sides.labels[positive(sides.labels, sides.seen.positive)]} if len(sides.labels) == 2 else {}
    return {
        "labels": list(sides.labels),
        "confusion": {name: classes.confusion(sides.truth, said, sides.labels) for name, said in (("before", before), ("after", after))},
        "false_positives": {name: _false(sides, said) for name, said in (("before", before), ("after", after))},
        "macro_f1": (intervals.plain(classes.macro_f1(sides.truth, sides.before), sides.n), plain["macro_f1"]),
        "per_class": [_kind(sides, kind) for kind in sides.kinds],
        "temperature": sides.heat,
        "threshold": sides.threshold,
        "answered": float(answered.mean()),
        "answered_right": float(sides.good[answered].mean()) if answered.any() else None,
        "point": sides.point,
        "untempered_ece": untempered,
        "worst": [int(sides.seen.rows[i]) for i in np.argsort(quality(sides), kind="stable") if not sides.good[i]],
        "groups": groups(sides.seen, sides.good, sides.drawn, whole=True),
        **{name: plain[name] for name in ("ece", "brier", "balanced_accuracy")},
        **looked_for,
    }


MEASURES = {"macro_f1": classes.macro_f1, "balanced_accuracy": classes.balanced_accuracy, "ece": classes.ece, "brier": classes.brier}


def _false(sides: Sides, said: intervals.Ints) -> dict[str, int]:
    wrong = Counter(int(kind) for kind in said[said != sides.truth])
    return {sides.labels[kind]: times for kind, times in sorted(wrong.items())}


def _kind(sides: Sides, kind: int) -> dict[str, Any]:
    hits, n, said = sides.of_kind(kind)
    return {
        "label": sides.labels[kind],
        "n": n,
        "found": hits,
        "said": said,
        "recall": hits / n,
        "precision": hits / said if said else None,
        "f1": 2 * hits / (n + said),
        "between": intervals.share(sides.good & (sides.truth == kind), sides.truth == kind, sides.drawn),
    }


def samples(sides: Sides) -> tuple[list[Sample], Sample | None]:
    """Pictures to show, the worst first, and the worst of all where it is wrong."""
    places = shown(quality(sides).tolist())
    told = [
        Sample(
            prompt=sides.seen.media[i],
            reference=sides.labels[int(sides.truth[i])],
            before=sides.labels[int(sides.before[i].argmax())],
            after=sides.labels[int(sides.said[i])],
        )
        for i in places
    ]
    return told, told[0] if told and not sides.good[places[0]] else None
