"""The parts that should learn do not exist in this model.

What it looks like: the run ends before its first update and lists the names of the model's parts.

Why: parts are named differently in every family of models; a name that fits one fits no other.

What to do: “all-linear”, which fits every model.
"""

from advisor.rules import Case, Found, change, fact, rule


@rule("R79", "no learning", "error", "retry")
def check(case: Case) -> Found | None:
    """The adapter found none of the parts it was to sit on."""
    if case.signals.code != "bad_targets" or case.view is None or case.view.ending is None:
        return None
    evidence = (fact("parts that should learn", case.text.targets), fact("the model says", line=case.view.ending.todo[:200]))
    fix = change("Let all linear parts learn.", targets="all-linear")
    return Found(0.98, f"“{case.text.targets}” names no part of this model.", evidence, (fix,))
