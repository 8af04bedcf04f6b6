"""One answer dominates the examples.

What it looks like: after training, it gives that answer to nearly everything and is right most of the time, without having understood
anything.

Why: whatever is commonest is learned first. Where one class or one answer makes up most of the file, always giving it is a good strategy.

What to do: add examples of the others, or leave out some of the commonest.
"""

from advisor.diagnosis.case import Case
from advisor.diagnosis.findings import Evidence, Fix, Found
from advisor.rules import Rule

CLASS, FREE = 0.8, 0.5  # of sorted texts, of free answers


def check(case: Case) -> Found | None:
    """Share of the commonest answer; certain where there is only one."""
    facts = case.facts
    if facts is None or facts.plain or facts.n_train < 10:
        return None
    part = facts.commonest / facts.n_train
    if part < (CLASS if facts.classes else FREE):
        return None
    others = facts.n_train - facts.commonest
    evidence = (
        Evidence(what="examples with the commonest answer", value=facts.commonest),
        Evidence(what="examples with any other", value=others),
        Evidence(what="different answers", value=facts.answers),
    )
    words = f"{facts.commonest:,} of {facts.n_train:,} examples have the same answer."
    fixes = (
        Fix(words="Add examples with other answers.", data="add", rows=others),
        Fix(words="Leave out some of the commonest.", data="balance", rows=max(0, facts.commonest - max(1, others))),
    )
    return Found(confidence=0.95 if facts.answers <= 1 else 0.7, words=words, evidence=evidence, fixes=fixes)


RULE = Rule("R87", "data", "One answer dominates the examples", "warning", "propose", check, before=True)
