"""Learning inside the model made it worse than the quick look had left it.

What it looks like: on the pictures kept to choose by, the loss is above where it began, at every look; or the verdict says that the quick
look alone does better.

Why: the corrections were too big for what the model knew already, or there were so few pictures that the eyes of the model learned these
by heart.

What to do: a learning rate three times smaller, with a gentle start. Where that does not help, the quick look alone is the better way.
"""

import math

from advisor.diagnosis.usual import rate_words
from advisor.rules import Case, Evidence, Found, change, fact, rule
from advisor.rules._reading import boldness
from advisor.rules.pictures._reading import PICTURE_TASKS, lost, percent, probe
from advisor.rules.pictures.rate_far_off import HIGH

GENTLER = 3.0  # times


@rule("R212", "instability", "warning", "propose", during=False, tasks=PICTURE_TASKS)
def check(case: Case) -> Found | None:
    """No look as good as at the start, or a verdict that is worse than the quick look's; told by the rate where that is far off."""
    if case.view is None or not lost(case) or boldness(case) >= HIGH:
        return None
    signals, found = case.signals, probe(case)
    rate = rate_words(min(case.plan.learning_rate, case.asked.learning_rate / GENTLER))
    evidence: list[Evidence] = []
    said: list[str] = []
    if math.isfinite(signals.base) and math.isfinite(signals.best):
        evidence += [fact("loss after the quick look", signals.base), fact("lowest loss after that", signals.best, step=signals.best_step)]
        said.append(f"After the quick look the loss was {signals.base:.3g}, and later it was never below {signals.best:.3g}.")
    if found.get("verdict") == "worse":
        evidence += [fact("measure of the quick look alone", float(found["probe"])), fact("measure at the end", float(found["after"]))]
        said = [f"The quick look alone reaches {percent(found['probe'])}, and the whole training {percent(found['after'])}."]
    evidence.append(fact("learning rate", case.asked.learning_rate))
    gentle = {"learning_rate": rate, **case.course.slow_start()}
    fixes = (
        change(f"Use a learning rate of {rate:g} with a gentle start.", **gentle),
        change("Stop after the quick look: one correction, and the model keeps its eyes.", **case.course.make(1)),
    )
    return Found(0.8 if found.get("verdict") == "worse" else 0.6, " ".join(said), evidence, fixes)
