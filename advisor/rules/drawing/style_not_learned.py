"""Nothing of the style has arrived.

What it looks like: what it draws looks as far from your pictures as before, and it knows no more about what is noise in them.

Why: too few corrections, corrections that are too small, or too little room in the adapter. Pictures that have no style in common cannot
teach one either.

What to do: train longer, with more room. Look at your pictures side by side: would you say that one hand made them?
"""

from advisor.rules import Case, Found, advice, change, fact, rule
from advisor.rules._reading import ended_well, ran_away
from advisor.rules.drawing._reading import DRAWING_TASKS, compared, score, usual_rate
from loralab.core.words import count

LOW = 0.3  # times the usual rate: below it, the rate is named first
ROOM = 32  # rank


@rule("R246", "no learning", "warning", "propose", during=False, tasks=DRAWING_TASKS)
def check(case: Case) -> Found | None:
    """A verdict that says nothing was learned, without anything that got worse."""
    found, look, loss = case.view.conclusion if case.view else None, score(case, "look"), score(case, "loss")
    if found is None or look is None or loss is None or found.learned == "yes" or not ended_well(case) or ran_away(case):
        return None
    if "worse" in (look.verdict, loss.verdict) or loss.verdict == "better":
        return None
    steps, usual = len(case.signals.steps), usual_rate(case)
    evidence = (*compared(look), *compared(loss), fact("corrections", steps), fact("learning rate", case.asked.learning_rate))
    plan = case.drawing
    fixes = [change("Train about twice as long.", **case.course.longer())]
    if case.asked.learning_rate < LOW * usual:
        fixes.insert(0, change(f"Use the usual learning rate of {usual:g}.", learning_rate=usual))
    if plan.rank < ROOM:
        fixes.append(change(f"Give the adapter more room: a rank of {ROOM}.", rank=ROOM))
    fixes.append(advice("Look at your pictures side by side: do they have a style in common?", "review"))
    words = f"After {count(steps, 'correction')} it draws as far from your pictures as before."
    return Found(0.6, words, evidence, fixes)
