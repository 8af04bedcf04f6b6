"""It waited for battery or heat, or the computer slept.

What it looks like: the run took much longer than was said, with times in which nothing happened.

Why: you asked it to wait below a battery level or above a temperature, or the computer was closed or went to sleep. Such times are not
counted as training and change nothing in the result.

What to do: plug it in, let air to it, or switch off sleep for the time of a run. The limits are in the plan under “Safety”.
"""

from advisor.rules import Case, Found, advice, fact, rule
from loralab.core.words import times


@rule("R95", "environment", "info", "inform", tasks=None)
def check(case: Case) -> Found | None:
    """Notes of waiting or of sleep in the run's log."""
    notes = case.view.notes if case.view else ()
    waits = [note for note in notes if note.code == "waiting"]
    sleeps = [note for note in notes if note.code == "slept"]
    if not waits and not sleeps:
        return None
    evidence = tuple(fact("what the run noted", step=note.step, line=note.text) for note in [*waits, *sleeps][:5])
    parts = [f"waited {times(len(waits))}, as you asked"] if waits else []
    parts += [f"paused {times(len(sleeps))} while the computer slept"] if sleeps else []
    words = f"The run {' and '.join(parts)}. The result is the same."
    return Found(0.95, words, evidence, (advice("Plug the computer in and switch off its sleep."),))
