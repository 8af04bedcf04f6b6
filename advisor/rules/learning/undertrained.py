"""The training ended while it was still getting better.

What it looks like: at the end the loss still falls, on the examples learned from and on those held out, and the last test was the best.

Why: there were fewer updates than this model needs for these examples. Where it had learned much already and was slowing down, this is told
and is no reason for alarm.

What to do: about twice as many rounds over the examples.
"""

from advisor.rules import Case, Found, change, fact, rule
from advisor.rules._reading import LEFT_SHARE, ended_well, improved, ran_away, short, timid, too_large
from loralab.core.words import count

MIN_FALL = 0.02  # of the start, over the last third of the run: one that has settled falls by less
STEEP_FALL, STRAIGHT_SHARE = 0.06, 0.33  # so much, with a third of the gain in the second half, that it had not begun to slow down
MIN_LOOKS = 4
TOLD_CONFIDENCE = 0.55  # below what names a setting that held the run back: then it may be why it was slow


@rule("R34", "no learning", "warning", "propose", during=False)
def check(case: Case) -> Found | None:
    """Both curves still fall and the last look is the best; information where the run got better all the same.

    A run of a handful of updates is few_updates' to explain: one cause has one name.
    """
    signals = case.signals
    if not ended_well(case) or len(signals.looks) < MIN_LOOKS or timid(case) or too_large(case) or short(case):
        return None
    if signals.best != signals.last or not signals.gain > 0 or ran_away(case):
        return None
    if not (signals.fall > MIN_FALL and signals.train_slope < 0 and signals.last > LEFT_SHARE * abs(signals.base)):
        return None
    updates = len(signals.steps)
    evidence = [
        fact("fall of the held-out loss over the last third, of its start", signals.fall),
        fact("held-out loss at the end, the best", signals.last, step=int(signals.looks[-1].step)),
        fact("updates", updates),
    ]
    words = f"After {updates} updates the held-out loss still fell, by {signals.fall:.0%} of its start over the last third."
    if case.course.bound == "clock":
        words += f" The time limit of {count(case.course.minutes, 'minute')} ended it."
    fix = change("Train about twice as long.", **case.course.longer())
    fine = improved(case) and (signals.fall < STEEP_FALL or signals.late < STRAIGHT_SHARE)
    return Found(TOLD_CONFIDENCE if fine else 0.7, words, evidence, (fix,), severity="info" if fine else "warning")
