"""There are more examples than one run can learn from.

What it looks like: a file of hundreds of thousands of examples. A single round over them would take days or weeks, and most of what they
teach is learned from the first few thousand.

Why: a small model picks up a style or a task from thousands of examples. More of the same kind add less and less, while the time grows with
each of them.

What to do: take an even sample. It is spread over the whole file, so that every part of it has its say; your own file stays as it is.
"""

from advisor.rules import Case, Found, advice, fact, rule
from loralab.core.words import count

MOST_ROWS = 200_000  # as many are held by a run


@rule("R106", "data", "error", "propose", before=True, during=False)
def check(case: Case) -> Found | None:
    """More examples than a run holds."""
    if case.facts is None or case.facts.n_train + case.facts.n_heldout <= MOST_ROWS:
        return None
    n = case.facts.n_train + case.facts.n_heldout
    words = f"The file holds {count(n, 'example')}: more than one run can learn from on a computer like this."
    return Found(0.9, words, (fact("examples in the file", n),), (advice("Take an even sample of them.", "sample", n),))
