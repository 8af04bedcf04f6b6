"""There are too few updates to change how a model writes.

What it looks like: the run is over after a handful of corrections, or after some more that are far smaller than usual, and the loss has
hardly moved or was still falling. Where it falls fast at first that means little: the manner is learned first, and what the
answers say comes later.

Why: every update moves a weight by about the learning rate and no further. A hundred updates are a sensible least; a thousand are better.

What to do: more rounds over the examples, or fewer examples per update; and the usual learning rate, where it was far below.
"""

import math

from advisor.diagnosis.usual import rate_words, usual_rate
from advisor.rules import Case, Evidence, Fix, Found, change, fact, rule
from advisor.rules._reading import (
    TIMID_RATIO,
    boldness,
    cut_short,
    ended_well,
    improved,
    learned_little,
    short,
    thrown_off,
    timid,
    too_large,
    worth,
)
from loralab.core.words import count, plural, times
from loralab.lab import ENOUGH_UPDATES, FEW_UPDATES, MOST_ROUNDS


def _in_vain(case: Case) -> bool:
    """Whether a run came to its end and learned little, quietly, with corrections of a usual size."""
    return ended_well(case) and learned_little(case) and not (timid(case) or improved(case) or thrown_off(case))


@rule("R37", "no learning", "warning", "retry", before=True, during=False)
def check(case: Case) -> Found | None:
    """Few updates are planned; after a run only where it learned little with a usual learning rate, or was over in a handful of them."""
    ended = short(case)
    updates = case.course.updates_planned() if case.view is None else len(case.signals.steps)
    if not 0 < updates < ENOUGH_UPDATES or too_large(case) or (case.view is None and _all_there_are(case)):
        return None
    if case.view is not None and not ended and not _in_vain(case):
        return None
    evidence = [fact("updates", updates)]
    evidence += [fact("examples to learn from", case.facts.n_train)] if case.facts else []
    if case.ran:
        evidence.append(fact("held-out loss before training", case.signals.base))
        evidence.append(fact("held-out loss at best", case.signals.best, step=case.signals.best_step))
    few = updates < FEW_UPDATES
    words = (
        f"{count(updates, 'update')} {plural(updates, 'is', 'are')} {'few' if few else 'not many'}: at least {ENOUGH_UPDATES} are usual."
    )
    if ended:
        evidence.append(fact("of what was gained, in the second half of the run", round(100 * case.signals.late), "%"))
        words += _unfinished(case, evidence)
    sure = 0.75 if few or cut_short(case) else 0.55 if case.ran else 0.4
    fixes, action = _fixes(case, updates), None if case.ran else "propose"
    told = not cut_short(case) if ended else not few and not case.ran  # of a run that gained well in ten to twenty updates
    return Found(sure, words, evidence, fixes, severity="info" if told else None, action=action)


def _all_there_are(case: Case) -> bool:
    """Whether a plan makes as many updates as so few examples can give: more rounds would teach them by heart."""
    return case.asked.effective_batch == 1 and case.course.asked_rounds >= MOST_ROUNDS and not case.course.limited


def _unfinished(case: Case, evidence: list[Evidence]) -> str:
    """That it was still getting better, and that its updates were small, where they were; with the evidence for that."""
    bold, words = boldness(case), " It was still getting better at its end."
    if bold > TIMID_RATIO or math.isnan(bold):
        return words
    evidence.append(fact("times the usual size of corrections", float(f"{bold:.2g}")))
    evidence.append(fact("updates of the usual size that move as far", math.ceil(worth(case))))
    return f" With corrections {bold:.2g} times the usual size they move the model only as far as {math.ceil(worth(case))} would.{words}"


def _fixes(case: Case, updates: int) -> tuple[Fix, ...]:
    """Enough updates, of the usual size where they were far smaller."""
    fixes, rate = _more(case, updates), rate_words(usual_rate(case))
    if not boldness(case) <= TIMID_RATIO:
        return fixes
    return tuple(change(f"{f.words[:-1]}, with a learning rate of {rate:g}.", **f.settings, learning_rate=rate) for f in fixes)


def _more(case: Case, updates: int) -> tuple[Fix, ...]:
    """As many rounds as make enough updates, or fewer examples behind each where that would be too many rounds."""
    course, now = case.course, case.plan.effective_batch
    if course.bound == "clock":
        more = course.longer(ENOUGH_UPDATES / updates)
        minutes = math.ceil(more["max_minutes"])
        return (change(f"Give it {count(minutes, 'minute')}: the time limit ended it.", **more | {"max_minutes": float(minutes)}),)
    if course.limit_binds:
        return (change(f"Make {ENOUGH_UPDATES} updates.", **course.make(ENOUGH_UPDATES)),)
    rounds = math.ceil(round(course.rounds * ENOUGH_UPDATES / updates, 6))
    if rounds <= MOST_ROUNDS or now == 1:
        return (change(f"Go over the examples {times(min(rounds, 1000))}.", **course.go_over(float(rounds))),)
    batch = max(1, min(now, math.floor(now * updates / ENOUGH_UPDATES * MOST_ROUNDS / course.rounds)))
    words = f"Go over the examples {MOST_ROUNDS:g} times, with {count(batch, 'example')} per update."
    return (change(words, **course.go_over(max(course.rounds, MOST_ROUNDS)), effective_batch=batch),)
