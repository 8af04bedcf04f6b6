"""The learning rate is far outside what works.

What it looks like: before the start, the learning rate, loudness of the adapter counted, is ten times the usual or more for a model of this
size, or a tenth or less. After a run: the loss first rose, or stopped falling half-way while most of it was left, because the steps are too
wide to get in further. Where the run got better without either, this is told and is no reason for alarm; so is five times the usual where
the loss came to rest half-way.

Why: in published sweeps over dozens of models nearly all runs at fifteen times the usual rate were wrecked. A rate a hundred times too
small changes nothing that could be seen.

What to do: the rate proposed here, which is usual for a model of this size.
"""

import math

from advisor.diagnosis.usual import rate_words, usual_rate
from advisor.rules import Case, Evidence, Fix, Found, fact, rule
from advisor.rules._reading import DONE_SHARE, HIGH_RATIO, LOUD_SCALE, boldness, ended_well, improved, ran_away, thrown_off
from advisor.rules._usual import usual_corrections

WRECKED_RATIO = 50.0  # times the usual
LOW_RATIO = 0.1
STUCK_RATIO = 5.0  # times the usual: where the loss came to rest early and high, a gentler rate is worth a try
SETTLED_BADLY_CONFIDENCE, PERHAPS_CONFIDENCE = 0.75, 0.6
STUCK_SHARE = 0.5  # of the start: more is left, and the second half of the run brought nothing more


def stuck(case: Case) -> bool:
    """Whether the loss came to rest early and high: steps too wide bounce around a place that gentler ones get into."""
    signals = case.signals
    return signals.late < DONE_SHARE and signals.last > STUCK_SHARE * abs(signals.base)


@rule("R27", "instability", "warning", "propose", before=True)
def check(case: Case) -> Found | None:
    """The rate against the usual one for the model's size. After a run its curves tell first; this is for one that only settled badly."""
    times = boldness(case)
    if math.isnan(times):
        return None
    return _before(case, times) if case.view is None else _after(case, times)


def _before(case: Case, times: float) -> Found | None:
    if LOW_RATIO < times < HIGH_RATIO or case.scale >= LOUD_SCALE:
        return None
    evidence, fix, words = _said(case, times)
    words += ": the training will most likely run away." if times >= HIGH_RATIO else ": it will hardly change anything."
    if times >= WRECKED_RATIO:
        return Found(0.9, words, evidence, (fix,), severity="error")
    return Found(0.7, words, evidence, (fix,))


def _after(case: Case, times: float) -> Found | None:
    if times < (STUCK_RATIO if stuck(case) else HIGH_RATIO) or not ended_well(case):
        return None
    evidence, fix, words = _said(case, times)
    words += ": it moved too far at each step to settle where a gentler one does."
    if times < HIGH_RATIO:
        return Found(PERHAPS_CONFIDENCE, words, evidence, (fix,), severity="info")
    seen = (thrown_off(case) or stuck(case)) and not ran_away(case)  # running away is another rule's to tell
    fine = improved(case) and not seen
    return Found(SETTLED_BADLY_CONFIDENCE, words, evidence, (fix,), severity="info" if fine else None)


def _said(case: Case, times: float) -> tuple[tuple[Evidence, ...], Fix, str]:
    """What is said at any time: the rate, the usual one, and how they compare."""
    rate = rate_words(usual_rate(case))
    evidence = (
        fact("learning rate", case.asked.learning_rate),
        fact("usual for a model of this size", rate),
        fact("times the usual", float(f"{times:.3g}")),
    )
    return (
        evidence,
        usual_corrections(case),
        f"A learning rate of {case.asked.learning_rate:g} is {times:.3g} times the usual for a model of this size",
    )
