"""An earlier run with settings like these went wrong.

What it looks like: this model learned from these examples before, with the same settings or with some that went not as far in the same
direction, and it is known what came of it.

Why: a training is repeatable. What taught too much, or too little, will do so again.

What to do: the settings of the run that did better, where there is one. Otherwise read what was found in the earlier run and change that.
"""

from advisor.diagnosis.earlier import repeated
from advisor.rules import Case, Found, change, fact, rule
from advisor.tasks import TEXT_AND_PICTURES


@rule("R111", "overfitting", "warning", "propose", before=True, during=False, tasks=TEXT_AND_PICTURES)
def check(case: Case) -> Found | None:
    """A plan that repeats an earlier trouble; an alarm where another run on the same examples did better."""
    if case.view is not None or not case.earlier:
        return None
    plan = case.asked.model_dump()
    found = repeated(plan, case.earlier)
    if found is None:
        return None
    one, better = found.run, found.better
    evidence = [fact("what was found in it", found.cause, run=one.run), fact("its held-out loss", one.loss, run=one.run)]
    words = f"The run {one.run} had settings like these, and this was found: {found.cause[:1].lower()}{found.cause[1:]}."
    if better is None:
        return Found(0.4, words, evidence, (), severity="info")
    evidence.append(fact("held-out loss of the better one", better.loss, run=better.run))
    words += f" The run {better.run} did better."
    return Found(0.75, words, evidence, (change(f"Use the settings of {better.run}.", **found.settings(plan)),))
