"""It began to learn the examples by heart.

What it looks like: the loss on the examples it learns from keeps falling, while the loss on those held out was lowest some time ago and
rises with every look since.

Why: after it has learned what the examples have in common, the only thing left to learn is each one by heart, and that makes it worse on
everything else. Many rounds over few examples, or a learning rate that is too high, bring it on sooner.

What to do: nothing has to be saved: the version from the best look is the one that is kept. Next time use fewer rounds; more and more
different examples help most. A smaller rank or some dropout puts it off a little.
"""

import math

from advisor.rules import Case, Found, advice, change, fact, rule
from loralab.core.words import times

MIN_LOOKS = 2  # after the best one: one look alone may be chance
FEWER_SHARE = 0.9  # of the rounds made: fewer than that is fewer
MIN_RISE, ALARM_RISE = 0.05, 0.2  # of the best held-out loss: worth knowing, and worth an alarm


@rule("R44", "overfitting", "warning", "propose")
def check(case: Case) -> Found | None:
    """Held-out loss well above its best for some looks, while the training loss fell on."""
    signals = case.signals
    if case.view is None or not math.isfinite(signals.best) or signals.since_best < MIN_LOOKS or signals.incidents("diverged"):
        return None
    rise = (signals.last - signals.best) / max(signals.best, 0.1)
    fell = signals.last_loss < signals.first_loss and signals.last_loss < signals.best
    if not rise >= MIN_RISE or not fell:
        return None
    rounds = case.course.enough_rounds()
    evidence = (
        fact("lowest loss on held-out examples", signals.best, step=signals.best_step),
        fact("last loss on held-out examples", signals.last, step=signals.looks[-1].step),
        fact("loss on the examples it learns from, at the end", signals.last_loss),
        case.course.told_rounds(),
    )
    words = (
        f"From update {signals.best_step} on it got better only on examples it has seen: the others went from {signals.best:.2f} to "
        f"{signals.last:.2f}. The version from update {signals.best_step} is the one that is kept."
    )
    fixes = [
        change(f"Go over the examples about {times(rounds)}.", **case.course.go_over(rounds)),
        advice("Add examples that are different from these.", "add"),
        change("Use a smaller rank and some dropout.", rank=max(4, case.text.rank // 2), dropout=0.1),
    ]
    if rounds > FEWER_SHARE * case.course.rounds:  # it slows down sooner when it is planned shorter: nothing would be spared
        fixes.pop(0)
    loud = rise >= ALARM_RISE
    return Found(0.85 if loud and signals.since_best > MIN_LOOKS else 0.7, words, evidence, fixes, severity="warning" if loud else "info")
