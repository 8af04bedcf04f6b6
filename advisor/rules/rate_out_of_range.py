"""The learning rate is far outside what works.

What it looks like: before the start, the learning rate, loudness of the adapter counted, is ten times the usual or more for a model of this
size, or a tenth or less. After a run: the loss first rose, or stopped falling half-way while most of it was left, because the steps are too
wide to get in further. Where the run got better without either, this is told and is no reason for alarm.

Why: in published sweeps over dozens of models nearly all runs at fifteen times the usual rate were wrecked. A rate a hundred times too
small changes nothing that could be seen.

What to do: the rate proposed here, which is usual for a model of this size.
"""

import math

from advisor.case import Case
from advisor.findings import Evidence, Fix, Found
from advisor.rules import Rule
from advisor.rules._reading import DONE, boldness, ended_well, improved, rate_words, thrown_off, usual_rate
from advisor.rules.too_loud import LOUD

HIGH, WRECKED = 10.0, 50.0  # times the usual; Tinker's LoRA sweep: 72 of 80 runs at 3e-3 and more were wrecked, 2e-4 is usual
LOW = 0.1
SETTLED_BADLY = 0.75
STUCK = 0.5  # of the start: more is left, and the second half of the run brought nothing more


def stuck(case: Case) -> bool:
    """Whether the loss came to rest early and high: steps too wide bounce around a place that gentler ones get into."""
    signals = case.signals
    return signals.late < DONE and signals.last > STUCK * abs(signals.base)


def check(case: Case) -> Found | None:
    """The rate against the usual one for the model's size. After a run its curves tell first; this is for one that only settled badly."""
    times = boldness(case)
    if math.isnan(times) or LOW < times < HIGH or (case.view is None and case.scale >= LOUD):
        return None
    if case.view is not None and (times < HIGH or not ended_well(case)):
        return None
    rate = rate_words(usual_rate(case))
    high = times >= HIGH
    evidence = (
        Evidence(what="learning rate", value=case.asked.learning_rate),
        Evidence(what="usual for a model of this size", value=rate),
        Evidence(what="times the usual", value=float(f"{times:.3g}")),
    )
    words = f"A learning rate of {case.asked.learning_rate:g} is {times:.3g} times the usual for a model of this size: "
    words += "the training will most likely run away." if high else "it will hardly change anything."
    fix = Fix(words=f"Use a learning rate of {rate:g}.", settings={"learning_rate": rate})
    if case.view is not None:
        words = f"A learning rate of {case.asked.learning_rate:g} is {times:.3g} times the usual for a model of this size: it moved too far"
        words += " at each step to settle where a gentler one does."
        severity = "info" if improved(case) and not (thrown_off(case) or stuck(case)) else None
        return Found(confidence=SETTLED_BADLY, words=words, evidence=evidence, fixes=(fix,), severity=severity)
    if times >= WRECKED:
        return Found(confidence=0.9, words=words, evidence=evidence, fixes=(fix,), severity="error")
    return Found(confidence=0.7, words=words, evidence=evidence, fixes=(fix,))


RULE = Rule("R27", "instability", "The learning rate is far outside what works", "warning", "propose", check, before=True)
