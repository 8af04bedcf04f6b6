"""There are too few examples to learn more than a tone.

What it looks like: fewer than fifty examples to learn from. The run may look perfect and the answers change little, or only in style.

Why: a model picks up facts and rules by seeing them in many forms. A handful of examples shows it how you write, hardly what you know.

What to do: add examples, at best from real use; a few hundred that are right beat thousands that are not. For facts that can be looked up,
giving the model the text beside the question works better than training.
"""

from advisor.diagnosis.case import Case
from advisor.diagnosis.findings import Evidence, Fix, Found
from advisor.rules import Rule

FEW = 50  # Soup: least rows for training


def check(case: Case) -> Found | None:
    """Fewer than FEW examples are learned from."""
    if case.facts is None or not 0 < case.facts.n_train < FEW:
        return None
    n = case.facts.n_train
    words = f"There are {n} examples to learn from: enough for a tone, hardly for facts."
    fix = Fix(words=f"Add examples until there are at least {FEW}.", data="add", rows=n)
    return Found(confidence=0.6, words=words, evidence=(Evidence(what="examples to learn from", value=n),), fixes=(fix,))


RULE = Rule("R66", "data", "There are too few examples to learn more than a tone", "warning", "propose", check, before=True)
