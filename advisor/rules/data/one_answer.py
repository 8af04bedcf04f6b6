"""One answer dominates the examples.

What it looks like: after training, it gives that answer to nearly everything and is right most of the time, without having understood
anything.

Why: whatever is most common is learned first. Where one class or one answer makes up most of the file, always giving it is a good strategy.

What to do: add examples of the others, or leave out some of the most common ones.
"""

from advisor.rules import Case, Found, advice, fact, rule
from loralab.core.words import plural

CLASS_SHARE, FREE_SHARE = 0.8, 0.5  # of sorted texts (a yes or no, too), of free answers


@rule("R87", "data", "warning", "propose", before=True)
def check(case: Case) -> Found | None:
    """Share of the commonest answer; certain where there is only one."""
    facts = case.facts
    if facts is None or facts.plain or facts.n_train < 10:
        return None
    part = facts.commonest / facts.n_train
    if part < (CLASS_SHARE if facts.classes or facts.learnable_classes else FREE_SHARE):
        return None
    others = facts.n_train - facts.commonest
    evidence = (
        fact("examples with the most common answer", facts.commonest),
        fact("examples with any other", others),
        fact("different answers", facts.answers),
    )
    words = f"{facts.commonest:,} of {facts.n_train:,} examples {plural(facts.commonest, 'has', 'have')} the same answer."
    fixes = (
        advice("Add examples with other answers.", "add", others),
        advice("Leave out some of the most common ones.", "balance", max(0, facts.commonest - max(1, others))),
    )
    return Found(0.95 if facts.answers <= 1 else 0.7, words, evidence, fixes)
