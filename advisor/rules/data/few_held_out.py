"""Too few examples are kept aside to tell a small gain from chance.

What it looks like: the verdict is “cannot tell yet”, and the loss on held-out examples jumps from look to look.

Why: with a handful of examples to test on, one that happens to be easy decides. Thirty show a large difference, a few hundred a small one.

What to do: add examples, or keep a larger share of them aside. Nothing is wrong with the training itself.
"""

from advisor.diagnosis.case import Case
from advisor.diagnosis.findings import Evidence, Fix, Found
from advisor.rules import Rule

FEW = 30
LARGER = 0.2


def check(case: Case) -> Found | None:
    """Fewer than FEW held-out examples."""
    facts = case.facts
    if facts is None or not 0 < facts.n_heldout < FEW:
        return None
    verdict = case.signals.final.verdict if case.signals.final else ""
    evidence = (
        Evidence(what="examples kept aside", value=facts.n_heldout),
        *((Evidence(what="verdict", value=verdict),) if verdict else ()),
    )
    words = f"{facts.n_heldout} examples are kept aside to test on: enough to see a large difference, not a small one."
    fixes = [Fix(words="Add examples.", data="add", rows=FEW - facts.n_heldout)]
    if case.plan.heldout_share < LARGER and facts.n_train >= 100:
        fixes.insert(0, Fix(words=f"Keep {LARGER:.0%} of the examples aside.", settings={"heldout_share": LARGER}))
    return Found(confidence=0.8 if verdict == "cannot tell yet" else 0.5, words=words, evidence=evidence, fixes=tuple(fixes))


RULE = Rule("R68", "data", "Too few examples are kept aside to tell a small gain from chance", "info", "propose", check, before=True)
