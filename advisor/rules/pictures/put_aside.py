"""Some pictures were put aside, because the test pictures have copies of them or are of the same patients.

What it looks like: fewer pictures are learned from than there are. Results that others report on the same files are better.

Why: the folders that the files came in put copies, or pictures of one patient, on both sides. Whoever learns from one and is tested on the
other looks better than they are.

What to do: nothing. What is measured here also holds for new patients and new pictures.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules.pictures._reading import PICTURE_TASKS
from loralab.core.words import count, plural


@rule("R224", "data", "info", "inform", before=True, tasks=PICTURE_TASKS)
def check(case: Case) -> Found | None:
    """Pictures that are neither learned from nor tested with."""
    facts = case.facts
    if facts is None or not facts.apart:
        return None
    n = facts.apart
    words = f"{count(n, 'picture')} {plural(n, 'is', 'are')} neither learned from nor tested with, so that the test stays honest."
    evidence = (fact("pictures put aside", n), fact("pictures to learn from", facts.n_train))
    return Found(0.2, words, evidence, (advice("Nothing has to be done."),))
