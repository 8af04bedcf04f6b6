"""The file of examples has changed since you opened it.

What it looks like: the numbers and the preview do not match what the run learns from.

Why: the file was saved again after it was opened here.

What to do: open it again. A run always learns from the file as it is when it begins.
"""

from advisor.rules import Case, Found, advice, fact, rule


@rule("R67", "data", "info", "inform", before=True)
def check(case: Case) -> Found | None:
    """The content id of the profile is not that of what would be learned from; only where all of it was read."""
    facts, profile = case.facts, case.profile
    if facts is None or profile is None or not facts.data or not profile.id or facts.looked or facts.refused or facts.data == profile.id:
        return None
    if profile.path != case.plan.dataset or profile.roles != (case.text.roles or profile.roles):
        return None
    evidence = (
        fact("examples when it was opened", profile.n_kept),
        fact("examples now", facts.n_train + facts.n_heldout + facts.unlearned),
    )
    words = "The file has changed since you opened it."
    return Found(0.9, words, evidence, (advice("Open the file again."),))
