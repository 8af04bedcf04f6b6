"""Very few pictures are kept to choose the best version by.

What it looks like: the loss on them jumps from look to look, and the version that is kept is not the one that does best on new pictures.

Why: with a handful of pictures to choose by, a single one decides which version is kept, and when the training stops.

What to do: add pictures. Where the files say which ones are to validate with, put more there.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules.pictures._reading import PICTURE_TASKS
from loralab.core.words import count, plural

FEW = 8


@rule("R220", "data", "info", "propose", before=True, tasks=PICTURE_TASKS)
def check(case: Case) -> Found | None:
    """Fewer than FEW watched pictures."""
    facts = case.facts
    if facts is None or not facts.n_train or facts.n_watched >= FEW or not facts.sides:
        return None
    n = facts.n_watched
    words = f"{count(n, 'picture')} {plural(n, 'is', 'are')} kept to choose the best version by: a single one may decide."
    return Found(
        0.4, words, (fact("pictures to choose by", n), fact("pictures to learn from", facts.n_train)), (advice("Add pictures.", "add"),)
    )
