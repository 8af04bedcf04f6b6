"""You stopped it.

What it looks like: the run is stopped, or was ended at once, and says so.

Why: it was asked to. Nothing went wrong.

What to do: resume it to go on where it was; where it was ended at once, it goes on from the last safety copy.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules._examples import code, last_words


@rule("R93", "environment", "info", "inform", tasks=None)
def check(case: Case) -> Found | None:
    """The run ended because a person asked for it."""
    if case.view is None or case.view.ending is None:
        return None
    if code(case) != "ended_by_force" and (case.view.state != "stopped" or code(case)):
        return None
    total = case.view.total_steps
    evidence = (fact("updates made", case.view.step), *((fact("updates planned", total),) if total else ()), last_words(case))
    words = f"You stopped it at update {case.view.step:,}" + (f" of {total:,}." if total else ".")
    return Found(0.99, words, evidence, (advice("Resume it to go on."),))
