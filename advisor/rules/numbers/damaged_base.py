"""The base model's own weights are damaged.

What it looks like: the run ends, mostly before its first update, and names a weight of the base model that holds no number.

Why: a download or a copy that was cut off or went over a bad disk, or, in the middle of a run, a fault of the memory. No setting helps:
whatever is computed with such a weight is lost.

What to do: delete the model and download it again, or choose another. Where it happens in the middle of a run and again with a fresh copy,
have the computer's memory tested.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.tasks import TEXT_AND_PICTURES


@rule("R70", "non-finite", "error", "inform", tasks=TEXT_AND_PICTURES)
def check(case: Case) -> Found | None:
    """The run looked through the frozen weights and found one that is not finite."""
    if case.signals.code != "corrupt_weights" or case.view is None or case.view.ending is None:
        return None
    midway = bool(case.view.steps)
    evidence = (fact("what the run found", line=case.view.ending.what, step=case.view.step if midway else None),)
    words = "A weight of the base model holds no number" + (
        f", since update {case.view.step}: before that, it was fine." if midway else ", from the start."
    )
    words += " Memory that lost a number is likelier than a bad file." if midway else " Its file is damaged."
    first = "Resume: the model is read from its file again." if midway else "Delete this model and download it again."
    fixes = (advice(first), advice("Choose another base model."))
    return Found(0.97, words, evidence, fixes)
