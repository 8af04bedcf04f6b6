"""The parts that shall learn do not exist in this model.

What it looks like: the run ends before its first update and lists the names of the model's parts.

Why: parts are named differently in every family of models; a name that fits one fits no other.

What to do: “all-linear”, which fits every model.
"""

from advisor.diagnosis.case import Case
from advisor.diagnosis.findings import Evidence, Fix, Found
from advisor.rules import Rule


def check(case: Case) -> Found | None:
    """The adapter found none of the parts it was to sit on."""
    if case.signals.code != "bad_targets" or case.view is None or case.view.ending is None:
        return None
    evidence = (
        Evidence(what="parts that shall learn", value=case.text.targets),
        Evidence(what="the model says", line=case.view.ending.todo[:200]),
    )
    fix = Fix(words="Let all linear parts learn.", settings={"targets": "all-linear"})
    return Found(confidence=0.98, words=f"“{case.text.targets}” names no part of this model.", evidence=evidence, fixes=(fix,))


RULE = Rule("R79", "no learning", "The parts that shall learn do not exist in this model", "error", "retry", check)
