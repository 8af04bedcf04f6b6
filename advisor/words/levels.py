"""The answer to “is 0.4 good?”: a number is held against this run, never against a feeling.

Invariant: a loss is called good or bad only in comparison with what the same examples gave before.
"""

from __future__ import annotations

import math

from advisor.diagnosis.usual import rate_words, usual_rate
from advisor.words.intents import Question
from advisor.words.summary import RunSummary
from advisor.words.wording import joined, loss, rate, share

# Published advice for LoRA (Axolotl: 1e-4 to 3e-4; Tinker's public sweep: nearly all runs that ran away had 3e-3)
USUAL_RATE = 2e-4  # where the model's size is not known
WRECKED_RATIO, HIGH_RATIO, LOW_RATIO = 10.0, 4.0, 0.25  # times the usual
SEEN_MEANING = "On pictures the loss is a sum of several parts: the number by itself means nothing, only whether it falls"
SAME_SHARE = 0.03  # share by which two losses may differ and be called about the same


def level(summary: RunSummary, asked: Question) -> str:
    """Whether a number is good here."""
    number = asked.number
    rates = (summary.case.plan.learning_rate, summary.case.asked.learning_rate)
    if asked.detail == "learning rate" or number in rates:  # a bare number that is this run's rate is meant as one
        return _rate(summary, summary.case.plan.learning_rate if number is None else number)
    if summary.accuracy and (number is None or not 0 <= number <= 20):
        return _accuracy(summary, number)
    value = summary.after if number is None else number
    if not math.isfinite(value):
        return "Nothing has been measured on held-out examples yet, so there is no number to judge."
    if value < 0:
        return "A loss is never below zero, so this number must be something else. Ask me again with its name."
    meaning = SEEN_MEANING if summary.sees else _meaning(value)
    return joined(meaning, _against(summary, value), "A loss alone is neither good nor bad: it depends on the task")


def _meaning(value: float) -> str:
    """What a loss of this size means, whatever the task: exp(-loss) is the (geometric) mean chance of the right token."""
    chance = math.exp(-value)
    said = f"about {share(chance)}" if chance >= 0.01 else "less than 1 %"
    return f"A loss of {loss(value)} means that, on average, the model gives the right next piece of text a chance of {said}"


def _against(summary: RunSummary, value: float) -> str:
    before, after = summary.before, summary.after
    if not math.isfinite(before) or before <= 0:
        return "Nothing was measured before this run, so it cannot be compared"
    change = (before - value) / before
    if abs(change) < SAME_SHARE:
        said = f"Before training it was {loss(before)}, so this is about the same"
    elif change > 0:
        said = (
            f"Before training it was {loss(before)}, so this is {share(change)} less: {'much ' if change > 0.5 else ''}better than before"
        )
    else:
        said = f"Before training it was {loss(before)}, so this is worse than before"
    if math.isfinite(after) and abs(after - value) > SAME_SHARE * max(after, 1e-6):
        said += f". This run ended at {loss(after)} on held-out examples"
    return said


def _rate(summary: RunSummary, value: float) -> str:
    """A rate against the usual one for this model's size and this adapter's loudness, as the rules see it."""
    usual = usual_rate(summary.case)
    usual = USUAL_RATE if math.isnan(usual) else usual
    if value > WRECKED_RATIO * usual:
        said = f"A learning rate of {rate(value)} is very high: most runs run away with it"
    elif value > HIGH_RATIO * usual:
        said = f"A learning rate of {rate(value)} is high. It often works, but the run may get shaky"
    elif value >= LOW_RATIO * usual:
        said = f"A learning rate of {rate(value)} is a usual one"
    else:
        said = f"A learning rate of {rate(value)} is low. The run is safe, but it may learn little"
    return joined(said, f"About {rate(rate_words(usual))} is usual for {'pictures' if summary.sees else 'a model of this size'}")


def _accuracy(summary: RunSummary, number: float | None) -> str:
    score = summary.accuracy
    if score is None:
        return ""
    here = f"This run gets {share(score.after)} of the held-out examples right. Before it was {share(score.before)}"
    if number is None:
        return joined(here, score.words)
    value = number / 100 if number > 1 else number
    if abs(value - score.before) < 0.01:
        said = "is about what the model could do before training"
    else:
        said = "is better than before training" if value > score.before else "is worse than before training"
    return joined(f"{share(value)} {said}", here)
