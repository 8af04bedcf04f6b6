"""It began to learn the pictures by heart.

What it looks like: the loss on the pictures it learns from keeps falling, while on those kept to choose by it was lowest some time ago and
has risen since.

Why: after it has learned what pictures of a class have in common, the only thing left to learn is each picture by itself. Few pictures,
many rounds and pictures that always look the same bring it on sooner.

What to do: nothing has to be saved: the version from the best look is the one that is kept. Vary the pictures while learning, use fewer
rounds, and add pictures taken in other places.
"""

import math
from typing import Any

from advisor.rules import Case, Found, advice, change, fact, rule
from advisor.rules.pictures._reading import PICTURE_TASKS, good, lost
from loralab.core.words import times

MIN_LOOKS = 2  # after the best one: one look alone may be chance
MIN_RISE, ALARM_RISE, LEAST_LOSS = 0.1, 0.4, 0.1  # of the best loss: worth knowing, worth an alarm; nats it is taken for at least
MIN_RANK = 4


@rule("R216", "overfitting", "warning", "propose", tasks=PICTURE_TASKS)
def check(case: Case) -> Found | None:
    """Watched loss well above its best for some looks, while the training loss fell on."""
    signals = case.signals
    if case.view is None or not math.isfinite(signals.best) or signals.since_best < MIN_LOOKS or lost(case):
        return None
    rise = (signals.last - signals.best) / max(signals.best, LEAST_LOSS)
    if not rise >= MIN_RISE or not (signals.last_loss < signals.first_loss and signals.last_loss < signals.last):
        return None
    rounds = case.course.enough_rounds()
    evidence = (
        fact("lowest loss on the pictures kept to choose by", signals.best, step=signals.best_step),
        fact("last loss on them", signals.last, step=signals.looks[-1].step),
        fact("loss on the pictures it learns from, at the end", signals.last_loss),
        case.course.told_rounds("pictures"),
    )
    words = (
        f"From update {signals.best_step} on it got better only on pictures it has seen: on the others the loss went from "
        f"{signals.best:.2f} to {signals.last:.2f}. The version from update {signals.best_step} is the one that is kept."
    )
    loud = rise >= ALARM_RISE and not good(case)
    return Found(0.75 if loud else 0.4, words, evidence, _fixes(case, rounds), severity="warning" if loud else "info")


def _fixes(case: Case, rounds: float) -> list[Any]:
    fixes = [
        change(f"Go over the pictures about {times(rounds)}.", **case.course.go_over(rounds)),
        change("Use a smaller rank and some dropout.", rank=max(MIN_RANK, case.pictures.rank // 2), dropout=0.1),
        advice("Add pictures taken in other places.", "add"),
    ]
    if case.pictures.augmentation == "none":
        fixes.insert(0, change("Vary the pictures a little every time they are seen.", augmentation="xray"))
    return fixes
