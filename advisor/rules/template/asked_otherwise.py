"""The model would be asked in another way than it learns to answer.

What it looks like: the loss falls as it should, and after training every answer is empty, or begins with marks and names of roles.

Why: before an answer that is learned, the chat template of this model writes other words than before one that is asked for, and it could
not be put right: it was tried. What was learned is then never called for.

What to do: leave out the conversations that are concerned, where they are few. Otherwise choose another model, or its instruct version.
"""

from advisor.rules import Case, Found, advice, rule
from advisor.rules._examples import seen, share, some

MIN_SHARE, NEARLY_ALL = 0.05, 0.95


@rule("R103", "template", "warning", "propose", before=True)
def check(case: Case) -> Found | None:
    """Conversations whose last answer is learned after other words than it is asked for with; grave where nearly all are."""
    facts = case.facts
    if facts is None or facts.plain or share(facts, "asked_otherwise") < MIN_SHARE:
        return None
    part = share(facts, "asked_otherwise")
    grave = part >= NEARLY_ALL
    words = f"{some(facts.asked_otherwise, facts)} learned in one form and would be asked for in another."
    words += " Nothing of it would show in the answers." if grave else ""
    return Found(
        0.97 if grave else 0.5 + 0.4 * part,
        words,
        (seen(facts, "asked_otherwise", "examples that are asked for in another form"),),
        (advice("Choose the instruct or chat version of this model."),),
        severity="error" if grave else "warning",
        action="block" if grave else "propose",
    )
