"""It knows the examples by heart and answers others no better than before.

What it looks like: the loss on the examples it learns from is nearly nothing, and the loss on those held out is many times that, though it
does not rise.

Why: the adapter has room enough to store every example word by word, and was shown each so often that this was the easiest thing to do. A
small loss alone is no sign of it: tasks with one right answer go that low and stay good on new examples.

What to do: fewer rounds, and more examples that differ. Where the same examples are in the file again and again, remove the copies first.
"""

import math

from advisor.rules import Case, Found, advice, change, fact, rule
from loralab.core.words import times

MAX_TRAIN_LOSS = 0.2  # nats a token: Unsloth's bound, which says nothing without the held-out loss beside it
MIN_LOSS_RATIO = 5.0  # the held-out loss, of the training loss
MIN_GAP = 0.8  # nats between them


@rule("R45", "overfitting", "warning", "propose")
def check(case: Case) -> Found | None:
    """Hardly any loss left on what it learns from, much on what it does not, and no rise that would say overfitting already."""
    signals = case.signals
    if case.view is None or not case.ran or not math.isfinite(signals.last):
        return None
    learned, other = signals.last_loss, signals.last
    if not (learned < MAX_TRAIN_LOSS and other > MIN_LOSS_RATIO * learned and other - learned > MIN_GAP):
        return None
    gained = (signals.base - signals.best) / max(signals.base, 1e-9)
    evidence = (fact("loss on the examples it learns from", learned), fact("loss on held-out examples", other), case.course.told_rounds())
    words = f"On the examples it learned from, hardly any loss is left ({learned:.2f}); on others it is {other:.2f}."
    rounds = case.course.fewer()
    fixes = (
        change(f"Go over the examples {times(rounds)}.", **case.course.go_over(rounds)),
        advice("Remove examples that are nearly the same.", "drop_near_copies"),
        advice("Add examples that are different from these.", "add"),
    )
    return Found(0.55 if gained > 0.3 else 0.75, words, evidence, fixes)
