"""Too few examples are kept aside to tell a small gain from chance.

What it looks like: the verdict is “cannot tell yet”, and the loss on held-out examples jumps around.

Why: with a handful of examples to test on, a single easy one decides. Thirty show a large difference, a few hundred a small one.

What to do: add examples, or keep a larger share of them aside. Nothing is wrong with the training itself.
"""

from advisor.rules import Case, Found, advice, change, fact, rule
from advisor.tasks import ALL_TASKS
from loralab.core.words import count, plural
from loralab.lab import usual_share

MIN_HELDOUT = 30


@rule("R68", "data", "info", "propose", before=True, tasks=ALL_TASKS)
def check(case: Case) -> Found | None:
    """Fewer than MIN_HELDOUT held-out examples."""
    facts = case.facts
    if facts is None or not 0 < facts.n_heldout < MIN_HELDOUT:
        return None
    verdict = case.signals.final.verdict if case.signals.final else ""
    evidence = (fact("examples kept aside", facts.n_heldout), *((fact("verdict", verdict),) if verdict else ()))
    kept = f"{count(facts.n_heldout, 'example')} {plural(facts.n_heldout, 'is', 'are')} kept aside for testing"
    words = f"{kept}: enough to show a big difference, not a small one."
    fixes = [advice("Add examples.", "add", MIN_HELDOUT - facts.n_heldout)]
    share = usual_share(facts.n_train + facts.n_heldout)
    if case.plan.heldout_share < share:
        fixes.insert(0, change(f"Keep {share:.0%} of the examples aside.", heldout_share=share))
    return Found(0.8 if verdict == "cannot tell yet" else 0.5, words, evidence, fixes)
