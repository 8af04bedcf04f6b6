"""The model never reads some of what your examples say.

What it looks like: the preview lacks words that are in the file, for instance the whole system message.

Why: the chat template of this model knows only certain roles and passes over the others without a word.

What to do: put what the system message says in front of the question, where every model reads it. Or choose a model whose template knows
system messages.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules._examples import examples, seen, share


@rule("R80", "template", "warning", "propose", before=True)
def check(case: Case) -> Found | None:
    """Messages of which nothing stands in what the model reads."""
    facts = case.facts
    if facts is None or not facts.unsaid:
        return None
    answers = "assistant" in facts.unsaid_roles
    who = {"system": "the system message", "user": "a question", "assistant": "an answer"}
    what = " and ".join(who[role] for role in facts.unsaid_roles if role in who) or "a message"
    words = f"In {examples(facts.unsaid)} of {facts.n_train:,} the model's template leaves out {what}."
    part = share(facts, "unsaid")
    evidence = (seen(facts, "unsaid", "examples with words left out"), fact("whose words", ", ".join(facts.unsaid_roles)))
    ways = (advice("Put the system message in front of the question.", "fold_system", facts.unsaid), advice("Choose another model."))
    blocks = answers and part > 0.5
    return Found(
        0.6 + 0.35 * part,
        words,
        evidence,
        ways[1:] if answers else ways,
        severity="error" if blocks else "warning",
        action="block" if blocks else "propose",
    )
