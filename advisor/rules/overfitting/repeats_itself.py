"""Its answers repeat themselves.

What it looks like: after training, a good part of each answer repeats words it has just said; before, it did so less.

Why: it was trained far too long or with corrections that are too big, or it never learned to end an answer and fills the rest with what it
said before.

What to do: if it does not end its answers, fix that first. Otherwise fewer rounds or a smaller learning rate, or an earlier version.
"""

from advisor.rules import Case, Found, change, fact, rule
from loralab.core.words import times

MIN_REPEATED_SHARE = 0.15  # of the runs of four words; people's answers lie below a hundredth


@rule("R49", "overfitting", "warning", "propose")
def check(case: Case) -> Found | None:
    """The verdict's measure of repetition got worse and is high."""
    score = case.signals.score("repeats")
    if score is None or score.verdict != "worse" or score.after < MIN_REPEATED_SHARE:
        return None
    ends = case.signals.score("ends_turn")
    evidence = (
        fact("share of an answer that repeats itself, before training", score.before),
        fact("the same after training", score.after),
        *((fact("answers that end by themselves", ends.after),) if ends else ()),
    )
    words = f"{score.after:.0%} of what it writes repeats what it has just said; before training it was {score.before:.0%}."
    rounds = case.course.fewer()
    rate = float(f"{case.plan.learning_rate / 3:.2g}")
    fixes = (
        change(f"Go over the examples {times(rounds)}.", **case.course.go_over(rounds)),
        change(f"Use a learning rate of {rate:g}.", learning_rate=rate),
    )
    return Found(0.5 if ends and ends.after < 0.5 else 0.65, words, evidence, fixes)
