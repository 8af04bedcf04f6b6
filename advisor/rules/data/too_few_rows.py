"""There are too few examples to learn more than a tone.

What it looks like: fewer than fifty examples to learn from. The run may look perfect and the answers change little, or only in style.

Why: a model picks up facts and rules by seeing them in many forms. A handful of examples shows it how you write, hardly what you know.

What to do: add examples, at best from real use; a few hundred that are right beat thousands that are not. For facts that can be looked up,
giving the model the text beside the question works better than training.
"""

from advisor.rules import Case, Found, advice, fact, rule
from loralab.core.words import count, plural

MIN_ROWS = 50  # Soup: least rows for training


@rule("R66", "data", "warning", "propose", before=True)
def check(case: Case) -> Found | None:
    """Fewer than MIN_ROWS examples are learned from."""
    if case.facts is None or not 0 < case.facts.n_train < MIN_ROWS:
        return None
    n = case.facts.n_train
    words = f"There {plural(n, 'is', 'are')} {count(n, 'example')} to learn from: enough for a tone, hardly for facts."
    fix = advice(f"Add examples until there are at least {MIN_ROWS}.", "add", n)
    return Found(0.6, words, (fact("examples to learn from", n),), (fix,))
