"""It forgot everyday things while it learned yours.

What it looks like: on a small set of everyday tasks that have nothing to do with your examples it is much worse than the base model, more
than any training changes.

Why: big corrections overwrite what the base model knew. The higher the learning rate and the more rounds, the more of it is lost.

What to do: a smaller learning rate or fewer rounds keeps more. If the model is only ever to do this one task, it may not matter. A very
small model knew little of such things to begin with; then this is told and is no reason for alarm.
"""

from advisor.rules import Case, Found, change, fact, rule
from advisor.rules._reading import HIGH_RATIO, boldness, loud
from loralab.core.words import count, times

MAX_KNOWN_LOSS = 3.5  # nats a token on everyday tasks: a base model above knew little that it could forget
MIN_LOOKS = 2  # after the best one: then it learned by heart
MUCH = 2.0  # nats more: the right words are seven times less likely, whatever it knew before
KNEW_CONFIDENCE, LOST_CONFIDENCE = 0.7, 0.52
UNSURE_CONFIDENCE = 0.4  # of such a model: what it lost may be no knowledge at all, and it is no reason for anything else


@rule("R47", "overfitting", "warning", "propose")
def check(case: Case) -> Found | None:
    """The verdict's measure of forgetting says worse, which it says only of a loud change."""
    score = case.signals.score("forgetting")
    if score is None or score.verdict != "worse":
        return None
    evidence = (
        fact("loss on everyday tasks before", score.before),
        fact("loss on everyday tasks after", score.after),
        fact("learning rate", case.plan.learning_rate),
        case.course.told_rounds(),
    )
    words = f"On {count(score.n, 'everyday task')} its loss went from {score.before:.2f} to {score.after:.2f}."
    rate = float(f"{case.plan.learning_rate / 3:.2g}")
    rounds = case.course.fewer()
    fixes = (
        change(f"Use a learning rate of {rate:g}.", learning_rate=rate),
        change(f"Go over the examples {times(rounds)}.", **case.course.go_over(rounds)),
    )
    knew, bold = score.before <= MAX_KNOWN_LOSS, boldness(case) >= HIGH_RATIO or loud(case)
    heart = case.signals.since_best >= MIN_LOOKS
    lost = score.difference >= MUCH and not (bold or heart)  # far too big corrections, or learning by heart, are other rules' to tell
    sure = KNEW_CONFIDENCE if knew else LOST_CONFIDENCE if lost else UNSURE_CONFIDENCE
    return Found(sure, words, evidence, fixes, severity="warning" if knew or lost else "info")
