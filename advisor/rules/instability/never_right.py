"""It ran away at every learning rate: the size of the corrections is not the cause.

What it looks like: the run went back three times, with a learning rate five times smaller each time, and ran away again.

Why: at some size every correct correction helps. Where none does, they point the wrong way: examples that contradict each other or are
mixed up, or a base model whose file is damaged.

What to do: look through the examples, then try another base model. A still smaller learning rate will not help.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules._reading import never_right
from advisor.tasks import TEXT_AND_PICTURES
from loralab.core.words import times


@rule("R78", "instability", "error", "inform", tasks=TEXT_AND_PICTURES)
def check(case: Case) -> Found | None:
    """It ran away again and again with gentler settings."""
    if not never_right(case):
        return None
    away = case.signals.incidents("diverged")
    evidence = (
        fact("times it ran away", len(away), step=away[0].step),
        fact("learning rate at first", case.asked.learning_rate),
        fact("learning rate at last", case.plan.learning_rate, step=away[-1].step),
    )
    words = f"It ran away {times(len(away))}, the last time with a learning rate of {case.plan.learning_rate:g}."
    fixes = (advice("Look through the examples for answers in the wrong place.", "review"), advice("Try another base model."))
    return Found(0.8, words, evidence, fixes)
