"""What several rules read out of a case: whether a run put itself right, how bold its corrections are, whether it got worse.

Invariant: pure functions of the case; where something is not known they say so (None, NaN or nothing) and never guess.
"""

from __future__ import annotations

import math

from advisor.diagnosis.case import Case
from advisor.diagnosis.usual import USUAL_SCALE, rate_words, usual_rate
from loralab.core.events import Adjusted, Incident
from loralab.lab import ENOUGH_UPDATES, FEW_UPDATES

WORSE_SHARE = 0.1  # of the start: a held-out loss that is higher by more than this got worse beyond noise
WORSE_NATS = 0.1  # nats: and by at least this, so that a loss near zero may move
MAX_RATE_RATIO = 3.0  # times the usual learning rate: after running away nothing above it is tried again
CLEAR_GAIN = 0.05  # of the start: a held-out loss that fell by more than this fell, however few examples there are
LITTLE_GAIN = 0.03  # of the start: less gained than this is little; the least of the healthy runs in tests/golden gains twice that
HANDFUL_UPDATES = 10.0  # updates at the usual size: a tenth of the hundred that are a sensible least (few_updates)
DONE_SHARE = 0.1  # of all that was gained: a run whose second half brought less was done, however short it was
LEFT_SHARE = 0.25  # of the start: below this most there was to learn has been learned
OVERSHOT_SHARE = 0.05  # of the start: a run that was so far above it had been thrown off
TIMID_RATIO, FAR_TIMID_RATIO = 0.34, 0.03  # times the usual corrections
TIMID_UPDATES = 3  # so many must have been made to tell
FALLING_SLOPE = -0.01  # change of the held-out loss over the last third: from here on more updates would do as well
LARGE_BATCH, USUAL_BATCH = 32, 8  # LoRA Without Regret: adapters lose to full tuning beyond about the large one
LOUD_SCALE = 8.0  # alpha / rank: four times the usual
BOLD_RATIO = 8.0  # times the usual corrections: from here on their size is the likelier cause of running away
HIGH_RATIO = 10.0  # times the usual; Tinker's LoRA sweep: 72 of 80 runs at 3e-3 and more were wrecked, 2e-4 is usual
EARLY_SHARE = 0.1  # of the run, or the first ten updates
AWAY_TIMES, SMALLER_TIMES = 3, 25.0  # ran away so often; with a rate so many times smaller in the end
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj", "c_attn", "query_key_value", "self_attention.dense", "attn.c_proj")
BITS_A_WEIGHT, BITS_A_TOKEN = 2.0, 1.0  # what an adapter holds and what a token asks (LoRA Without Regret, Thinking Machines, 2025)


def repaired(case: Case) -> str:
    """A sentence for a run that dealt with its trouble itself; empty where it ended because of it."""
    if case.view is None or case.view.state in ("failed", "killed") or case.signals.code:
        return ""
    return " The run dealt with it by itself and went on." if case.view.active else " The run dealt with it by itself."


def answer(case: Case, incident: Incident, setting: str) -> Adjusted | None:
    """What was done to a setting because of an incident: told in the same update, after it."""
    changes = case.view.adjustments if case.view else ()
    return next((c for c in changes if c.setting == setting and 0 <= incident.step - c.step <= 1 and c.time >= incident.time), None)


def boldness(case: Case) -> float:
    """How many times the usual the corrections are as asked for, loudness counted; NaN where the model's size is not known."""
    return case.asked.learning_rate / usual_rate(case)


def gentler(case: Case, times: float) -> float:
    """The learning rate for the next try: what a run came to, or `times` smaller; far above the usual still, the usual one."""
    rate, usual = min(case.plan.learning_rate, case.asked.learning_rate / times), usual_rate(case)
    return rate_words(usual if rate > MAX_RATE_RATIO * usual else rate)


def worse(case: Case) -> bool:
    """Whether the held-out examples ended worse than they began, beyond noise."""
    start, last = case.signals.base, case.signals.last
    if math.isnan(start) or math.isnan(last):
        return False
    return not last <= start + max(WORSE_SHARE * abs(start), WORSE_NATS)


def ran_away(case: Case) -> bool:
    """Whether the run left its start far behind: the guard said so, or the curves do, where it had its hands off or saw it come back."""
    signals, start = case.signals, case.signals.base
    if signals.incidents("diverged"):
        return True
    far = start + max(0.5 * abs(start), 0.5)  # as in loralab/train/guard.py
    return signals.worst > far and (signals.gain <= 0 or (signals.last > far and not signals.last_loss < start))


def improved(case: Case) -> bool:
    """Whether it got better: the verdict says so, or it cannot tell (few held-out examples) and the held-out loss fell clearly."""
    word = case.signals.final.verdict if case.signals.final is not None else ""
    return word == "better" or (word != "worse" and case.signals.gain > CLEAR_GAIN * abs(case.signals.base))


def ended_well(case: Case) -> bool:
    """Whether the run came to the end of its plan."""
    return bool(case.view and case.view.state == "finished")


def share_gained(case: Case) -> float:
    """By what share of its start the held-out loss fell, at best; NaN before the first look."""
    return case.signals.gain / abs(case.signals.base) if case.signals.base else math.nan


def learned_little(case: Case) -> bool:
    """Whether a run that is over hardly changed the held-out loss for the better, and nothing else was seen to go wrong in it."""
    if case.view is None or case.view.active or worse(case) or ran_away(case) or case.signals.incidents("non_finite"):
        return False
    return share_gained(case) < LITTLE_GAIN


def worth(case: Case) -> float:
    """The updates made, as many as they would be at the usual size of corrections; bolder ones count no more than usual ones.

    AdamW moves a weight by about the learning rate in each update, however strong its gradient is: ten updates at a tenth of the usual rate
    are worth one.
    """
    times = boldness(case)
    return len(case.signals.steps) * (1.0 if math.isnan(times) else min(1.0, times))


def settled(case: Case) -> bool:
    """Whether more of the same would hardly have helped: the second half brought little more, or took some back, or little is left."""
    signals = case.signals
    lost = signals.last - signals.best > DONE_SHARE * signals.gain
    return signals.late < DONE_SHARE or lost or signals.last <= LEFT_SHARE * abs(signals.base)


def cut_short(case: Case, most: float = HANDFUL_UPDATES) -> bool:
    """Whether it ended before it was under way: worth no more than `most` usual updates, and still getting better."""
    return ended_well(case) and worth(case) <= most and case.signals.gain > 0 and not settled(case)


def thrown_off(case: Case) -> bool:
    """Whether the loss rose clearly above where it began, whether or not it came back."""
    return case.signals.overshoot > max(OVERSHOT_SHARE * abs(case.signals.base), WORSE_NATS)


def no_room(case: Case) -> bool:
    """Whether the examples hold more than the adapter can."""
    facts = case.facts
    if facts is None or not facts.trainable:
        return False
    return facts.tokens.get("learned", 0) * BITS_A_TOKEN > facts.trainable * BITS_A_WEIGHT


# ---- what one rule sees and others leave to it -------------------------------------------------------------------------------
def timid(case: Case) -> bool:
    """Whether corrections far smaller than usual are why it learned little or, all together, were worth no more than a handful.

    Where it was still falling, more updates would do as well: then it is their size only where they are tiny, or where there were enough.
    """
    updates, times = len(case.signals.steps), boldness(case)
    if updates < TIMID_UPDATES or not case.signals.norms.any():
        return False
    if learned_little(case):
        return times <= (FAR_TIMID_RATIO if case.signals.heldout_slope < FALLING_SLOPE else TIMID_RATIO)
    return times <= (TIMID_RATIO if updates >= ENOUGH_UPDATES else FAR_TIMID_RATIO) and cut_short(case)


def too_large(case: Case) -> bool:
    """Whether it is the batch that leaves too few updates."""
    if case.facts is None or not case.facts.n_train or case.asked.effective_batch <= LARGE_BATCH or case.course.most_updates:
        return False
    updates = case.course.updates_planned()
    return updates < ENOUGH_UPDATES and case.course.updates_planned(USUAL_BATCH) >= min(ENOUGH_UPDATES, 4 * updates)


def short(case: Case) -> bool:
    """Whether a run was over while it was still getting better, after updates so few, or worth so few usual ones, that this is why."""
    return len(case.signals.steps) < ENOUGH_UPDATES and cut_short(case, FEW_UPDATES) and not too_large(case) and not timid(case)


def loud(case: Case) -> bool:
    """Whether the loudness alone makes the corrections too big: with the usual one the same learning rate would be usual."""
    times = boldness(case)
    usual = times * USUAL_SCALE / case.scale
    return case.scale >= LOUD_SCALE and (math.isnan(times) or (times >= BOLD_RATIO and usual < BOLD_RATIO))


def abrupt(case: Case) -> bool:
    """Whether a run without a warm-up ran away at its very beginning with a rate that may do with one."""
    away = case.signals.incidents("diverged")
    if not away or case.course.warms_up or case.view is None:
        return False
    times = boldness(case)
    return away[0].step <= max(10, EARLY_SHARE * case.view.total_steps) and (math.isnan(times) or times < BOLD_RATIO)


def never_right(case: Case) -> bool:
    """Whether the run ended running away although its learning rate had become many times smaller."""
    away = case.signals.incidents("diverged")
    smaller = case.asked.learning_rate / case.plan.learning_rate
    return len(away) > AWAY_TIMES and case.signals.code == "diverged" and smaller >= SMALLER_TIMES


def narrow(targets: str) -> bool:
    """Whether a plan's targets name parts of attention and nothing else."""
    parts = [part.strip() for part in targets.split(",") if part.strip()]
    return targets.strip() == "attention" or (bool(parts) and all(part.endswith(ATTENTION) for part in parts))
