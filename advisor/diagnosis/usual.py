"""The usual size of corrections for a model. Invariant: where the model's size is not known the rate is NaN, never a guess."""

from __future__ import annotations

import math

from advisor.diagnosis.case import Case
from advisor.tasks import PicturePlan
from loralab.lab import usual_rate as rate_of_size

USUAL_SCALE = 2.0  # alpha / rank the usual rates hold for (loralab/planning/planner.py)
USUAL_RANK = 16  # likewise


def parameters(case: Case) -> int:
    """Weights of the base model: counted where it was loaded, else from its measures (12 hidden² a layer); 0 where nothing is known."""
    facts = case.facts
    if facts is None:
        return 0
    return facts.parameters or 12 * facts.layers * facts.hidden**2 + facts.vocabulary * facts.hidden


def usual_rate(case: Case) -> float:
    """The learning rate usual for a model of this size at this adapter's loudness; NaN where the size is not known.

    On pictures: what the kind of training begins with, which did best on the proving data (loralab/planning/pictures.py).
    """
    if isinstance(case.plan, PicturePlan):
        return float(type(case.plan).model_fields["learning_rate"].default) / case.scale
    size = parameters(case)
    if not size:
        return math.nan
    return rate_of_size(size) * USUAL_SCALE / case.scale


def rate_words(rate: float) -> float:
    """A learning rate as a person would write it: two digits."""
    return float(f"{rate:.2g}")
