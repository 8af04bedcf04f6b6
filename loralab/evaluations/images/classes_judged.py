"""Owns the judgement of pictures sorted into kinds: its parts put together."""

from __future__ import annotations

from loralab.core.judgement import Judgement
from loralab.evaluations.images.classes_answers import conclude
from loralab.evaluations.images.classes_rows import rows, samples, table
from loralab.evaluations.images.classes_scores import probe_of, scores_of
from loralab.evaluations.images.classes_sides import sides_of
from loralab.evaluations.images.seen import SeenClasses
from loralab.evaluations.images.told import Found, corrected, judged, nothing, unleaked


def judge_classes(seen: SeenClasses, leaked: frozenset[int] = frozenset()) -> Judgement:
    """Both answers on pictures sorted into kinds. `leaked`: places with a near copy, or the same patient, among the learned."""
    seen, leaks = unleaked(seen, leaked)
    if not seen.n:
        return nothing()
    sides = sides_of(seen)
    scores = corrected(scores_of(sides))
    shown, worst = samples(sides)
    found = Found(scores, conclude(sides, scores, worst), probe_of(sides, scores[0].name), rows(sides), table(sides), tuple(shown))
    return judged(found, leaks, sides.drawn.units)
