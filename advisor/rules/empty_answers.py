"""Answers that say nothing are among the examples.

What it looks like: after training it answers some questions with nothing, with a dash or with “n/a”.

Why: rows without an answer are left out on reading, but placeholders are words like any other, and the model learns to give them.

What to do: remove these rows or write real answers.
"""

from advisor.case import Case
from advisor.findings import Evidence, Fix, Found
from advisor.rules import Rule
from advisor.rules._examples import examples, seen, share

MANY = 0.05


def check(case: Case) -> Found | None:
    """Answers without a word or with a placeholder only."""
    facts = case.facts
    if facts is None or not facts.empty + facts.hollow:
        return None
    number = facts.empty + facts.hollow
    silent = case.signals.score("empty")
    worse = silent is not None and silent.verdict == "worse"
    part = share(facts, "empty") + share(facts, "hollow")
    evidence = (
        seen(facts, "hollow", "answers of a placeholder only"),
        seen(facts, "empty", "answers without a word"),
        *((Evidence(what="empty answers after training", value=silent.adapter),) if silent and worse else ()),
    )
    words = f"{examples(number)} of {facts.n_train:,} have an answer that says nothing."
    fix = Fix(words="Remove the examples whose answer says nothing.", data="drop_empty", rows=number)
    loud = part >= MANY or worse
    return Found(
        confidence=min(0.95, 0.6 + part), words=words, evidence=evidence, fixes=(fix,), severity="warning" if loud else "info"
    )  # fmt: skip


RULE = Rule("R64", "data", "Answers that say nothing are among the examples", "warning", "propose", check, before=True)
