"""Numbers were lost for a moment and came back.

What it looks like: an update is not finite, and the very same examples, each tried again alone, are fine.

Why: once in a long run this is chance: two numbers that just went over the edge together. Several times, it points to the computer: memory
or a card that makes mistakes, mostly from heat or overclocking.

What to do: nothing if it was once: that update was left out. If it keeps coming, keep numbers more exactly (fp32) and watch the
temperature; “Pause above” makes a run wait while it is hot.
"""

from advisor.diagnosis.usual import rate_words
from advisor.rules import Case, Found, change, fact, rule
from advisor.rules._reading import repaired
from advisor.tasks import TEXT_AND_PICTURES
from loralab.core.words import count, plural

SIGN = "each of its examples alone is fine"  # loralab/train/guard.py
OFTEN_TIMES = 3
HOT_DEGREES = 80  # °C at which a run waits: below what processors and cards slow themselves down at


@rule("R72", "non-finite", "info", "propose", tasks=TEXT_AND_PICTURES)
def check(case: Case) -> Found | None:
    """Updates that were not finite though each of their examples is."""
    found = [one for one in case.signals.incidents("non_finite") if SIGN in one.text]
    if not found:
        return None
    often = len(found) >= OFTEN_TIMES
    evidence = tuple(fact("update that was not finite, and was when tried again", step=one.step) for one in found[:8])
    words = f"{count(len(found), 'update')} {plural(len(found), 'was', 'were')} not finite, and fine when tried again.{repaired(case)}"
    if case.asked.precision in ("bf16", "fp16"):
        fix = change("Keep numbers exactly (fp32).", precision="fp32")
    else:
        rate = rate_words(min(case.plan.learning_rate, case.asked.learning_rate / 2))
        fix = change(
            f"Use a learning rate of {rate:g} and pause above {HOT_DEGREES} °C.", learning_rate=rate, pause_above_temperature=HOT_DEGREES
        )
    severity = "warning" if often else "info"
    return Found(0.8 if often else 0.9, words, evidence, (fix,), severity=severity)
