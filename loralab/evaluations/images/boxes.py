"""Owns the measures of finding things: average precision as COCO has it, recall and precision at a confidence.

Invariants: which box is right is settled once, by pycocotools; a resample of pictures only counts the settled boxes anew, and counted once
each, the result is that of pycocotools.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from loralab.evaluations.images.intervals import CELLS, Bools, Ints, Statistic, divided, mean
from loralab.evaluations.shared.shares import Matrix

OVERLAPS = np.linspace(0.5, 0.95, 10)  # IoU from which on a box is right
RECALLS = np.linspace(0.0, 1.0, 101)  # at which precision is read
MOST = 100  # boxes of a kind in a picture that count, the surest first
UNSURE = 0.3  # confidence where none could be chosen
CANDIDATES = 100  # confidences that are tried
AS_GOOD = 0.02  # of F1: no more than chance on some dozens of pictures


@dataclass(frozen=True)
class Found:
    """Boxes of one picture: places [boxes, 4] as left, top, right, bottom in pixels, kinds [boxes] from 0, and how sure [boxes] each is.

    What a person drew needs no `sure`.
    """

    places: Matrix
    kinds: Ints
    sure: Matrix | None = None


@dataclass(frozen=True)
class Kind:
    """Every box that was found of a kind, the surest first: its picture, how sure it is, and whether it is right [overlaps, boxes]."""

    picture: Ints
    sure: Matrix
    hit: Bools


@dataclass(frozen=True)
class Matches:
    """Which boxes are right. `wanted` [pictures, kinds]: how many there are to find."""

    wanted: Ints
    kinds: tuple[Kind, ...]
    overlaps: Matrix


def matched(truths: Sequence[Found], founds: Sequence[Found], kinds: int, overlaps: Matrix = OVERLAPS) -> Matches:
    """Settle which boxes are right: each takes, surest first, the best free one of its kind that it overlaps enough (Lin et al. 2014)."""
    pictures = len(truths)
    with contextlib.redirect_stdout(io.StringIO()):  # it tells of each of its steps
        evaluator = COCOeval(_coco(truths, kinds), _coco(founds, kinds), "bbox")
        evaluator.params.imgIds, evaluator.params.catIds = list(range(pictures)), list(range(kinds))
        evaluator.params.iouThrs, evaluator.params.maxDets = overlaps, [MOST]
        evaluator.params.areaRng, evaluator.params.areaRngLbl = [[0, np.inf]], ["all"]
        if pictures and kinds:
            evaluator.evaluate()
    wanted = np.zeros((pictures, kinds), np.int64)
    for picture, truth in enumerate(truths):
        wanted[picture] = np.bincount(truth.kinds, minlength=kinds)[:kinds]
    told: list[Any] = list(evaluator.evalImgs)
    return Matches(wanted, tuple(_kind(told[k * pictures : (k + 1) * pictures], len(overlaps)) for k in range(kinds)), overlaps)


def _coco(sides: Sequence[Found], kinds: int) -> Any:
    """Boxes in the form that pycocotools reads; numbers of boxes begin at 1, for it takes 0 for “none”."""
    boxes: list[dict[str, Any]] = []
    for picture, side in enumerate(sides):
        sure = np.ones(len(side.kinds)) if side.sure is None else side.sure
        for (left, top, right, bottom), kind, score in zip(side.places.tolist(), side.kinds.tolist(), sure.tolist(), strict=True):
            box = [left, top, max(0.0, right - left), max(0.0, bottom - top)]
            boxes.append(
                {
                    "id": len(boxes) + 1,
                    "image_id": picture,
                    "category_id": kind,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                    "score": score,
                }
            )
    made: Any = COCO()
    made.dataset = {"images": [{"id": i} for i in range(len(sides))], "categories": [{"id": k} for k in range(kinds)], "annotations": boxes}
    made.createIndex()
    return made


def _kind(told: Sequence[dict[str, Any] | None], overlaps: int) -> Kind:
    """What pycocotools settled about one kind, all pictures together; boxes as sure as each other keep the order of their pictures."""
    kept = [(picture, one) for picture, one in enumerate(told) if one is not None]
    sure = np.concatenate([np.zeros(0), *(np.asarray(one["dtScores"], np.float64) for _, one in kept)])
    picture = np.concatenate([np.zeros(0, np.int64), *(np.full(len(one["dtScores"]), place, np.int64) for place, one in kept)])
    hit = np.concatenate([np.zeros((overlaps, 0), np.bool_), *(np.asarray(one["dtMatches"]) > 0 for _, one in kept)], axis=1)
    order = np.argsort(-sure, kind="mergesort")
    return Kind(picture[order], sure[order], hit[:, order])


# ---- measures --------------------------------------------------------------------------------------------------------------
def average_precision(found: Matches, overlaps: Sequence[int] | None = None) -> Statistic:
    """Mean over kinds that occur, and over these of `found.overlaps` (their places; all where None), of COCO's average precision."""
    chosen = tuple(range(len(found.overlaps))) if overlaps is None else tuple(overlaps)
    each = [kind_precision(found, kind, chosen) for kind in range(len(found.kinds))]

    def of(weights: Matrix) -> Matrix:
        told = np.stack([one(weights) for one in each]) if each else np.full((1, len(weights)), np.nan)
        known = np.isfinite(told)
        return divided(np.where(known, told, 0.0).sum(0), known.sum(0).astype(np.float64))

    return of


def kind_precision(found: Matches, kind: int, overlaps: Sequence[int]) -> Statistic:
    """The same of one kind; nan where there is none to find. Precision is read at 101 recalls, each the best at as much recall or more."""
    boxes, wanted = found.kinds[kind], found.wanted[:, kind].astype(np.float64)

    def of(weights: Matrix) -> Matrix:
        step = max(1, CELLS // max(1, len(boxes.picture)))
        return np.concatenate([part(weights[i : i + step]) for i in range(0, len(weights), step)])

    def part(weights: Matrix) -> Matrix:
        there = weights @ wanted
        counted = weights[:, boxes.picture]
        so_far = np.cumsum(counted, axis=1)
        read = [_read(counted[:, places], so_far[:, places], there) for places in (np.flatnonzero(boxes.hit[o]) for o in overlaps)]
        return np.where(there > 0, np.mean(read, axis=0), np.nan)

    return of


def _read(right: Matrix, so_far: Matrix, there: Matrix) -> Matrix:
    """Average precision from the right boxes alone [resamples, right boxes]: how often each counts, and how many boxes there are up to it.

    Precision only rises at a right box, so the best at a recall or more is found at one.
    """
    if not right.shape[1]:
        return np.zeros(len(right))
    hits = np.cumsum(right, axis=1)
    precision = np.divide(hits, so_far, out=np.zeros_like(hits), where=so_far > 0)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = np.divide(hits, there[:, None], out=np.zeros_like(hits), where=there[:, None] > 0)
    reached = np.searchsorted(RECALLS, recall.ravel(), side="right").reshape(recall.shape)
    reached = np.where(hits > 0, reached, 0)
    return (best * np.diff(reached, axis=1, prepend=0)).sum(1) / len(RECALLS)


def found_each(found: Matches, confidence: float, overlap: int = 0) -> tuple[Ints, Ints]:
    """How many of each kind are found, and how many boxes say so, in each picture, both [pictures, kinds], at a confidence."""
    pictures, kinds = found.wanted.shape
    hits, said = np.zeros((pictures, kinds), np.int64), np.zeros((pictures, kinds), np.int64)
    for kind, boxes in enumerate(found.kinds):
        enough = boxes.sure >= confidence
        said[:, kind] = np.bincount(boxes.picture[enough], minlength=pictures)
        hits[:, kind] = np.bincount(boxes.picture[enough & boxes.hit[overlap]], minlength=pictures)
    return hits, said


def recall(found: Matches, confidence: float, kind: int | None = None) -> Statistic:
    """Share of the things, or of one kind of them, that are found at a confidence."""
    hits, _ = found_each(found, confidence)
    return mean(hits.sum(1), found.wanted.sum(1)) if kind is None else mean(hits[:, kind], found.wanted[:, kind])


def precision(found: Matches, confidence: float) -> Statistic:
    """Share of the boxes that are right at a confidence."""
    hits, said = found_each(found, confidence)
    return mean(hits.sum(1), said.sum(1))


def best_confidence(found: Matches) -> float:
    """The lowest confidence whose F1, averaged over the kinds that occur, is within `AS_GOOD` of the largest; UNSURE where nothing right
    was found.

    A person strikes out one box too many at a glance and never sees one that was not drawn: of confidences that do as well, the lowest.
    """
    scores = np.unique(np.concatenate([np.zeros(0), *(kind.sure[kind.hit[0]] for kind in found.kinds)]))
    if not len(scores):
        return UNSURE
    cuts = np.unique(np.quantile(scores, np.linspace(0, 1, CANDIDATES), method="nearest"))
    there = found.wanted.sum(0)
    reached: list[float] = []
    for cut in cuts.tolist():
        hits, said = (side.sum(0) for side in found_each(found, cut))
        reached.append(float((2 * hits[there > 0] / (there + said)[there > 0]).mean()) if there.any() else 0.0)
    return float(cuts[np.flatnonzero(np.array(reached) >= max(reached) - AS_GOOD)[0]])
