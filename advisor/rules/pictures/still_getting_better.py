"""It was still getting better when it ended.

What it looks like: both losses, on the pictures it learns from and on those kept to choose by, are still falling at the last look.

Why: there were fewer rounds than these pictures bear. Nothing went wrong.

What to do: train longer. It stops by itself where more does not help.
"""

from advisor.rules import Case, Found, change, fact, rule
from advisor.rules._reading import boldness
from advisor.rules.pictures._reading import PICTURE_TASKS, good, lost, over, percent
from advisor.rules.pictures.rate_far_off import LOW
from loralab.core.words import count

MIN_LOOKS = 4
MIN_FALL, STEEP_FALL = 0.03, 0.1  # of the loss at the start, over the last third: worth knowing, and worth an alarm


@rule("R217", "no learning", "info", "propose", during=False, tasks=PICTURE_TASKS)
def check(case: Case) -> Found | None:
    """The best look is the last one, and the fall before it is no noise."""
    signals = case.signals
    if case.view is None or not over(case) or lost(case) or good(case) or boldness(case) <= LOW:
        return None
    if len(signals.looks) < MIN_LOOKS or signals.best != signals.last:
        return None
    if not (signals.fall >= MIN_FALL and signals.train_slope < 0):
        return None
    updates = len(signals.steps)
    fall = percent(signals.fall)
    evidence = (
        fact("fall of the loss over the last third, of its start", fall),
        fact("loss at the last look, the best", signals.last, step=int(signals.looks[-1].step)),
        fact("updates", updates),
    )
    words = f"After {count(updates, 'update')} the loss on pictures it does not learn from still fell, by {fall} of its start."
    steep = signals.fall >= STEEP_FALL
    fix = change("Train about twice as long.", **case.course.longer())
    return Found(0.65 if steep else 0.45, words, evidence, (fix,), severity="warning" if steep else "info")
