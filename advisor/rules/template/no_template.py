"""This model has no chat template of its own.

What it looks like: nothing is wrong. The examples are written as “User: … Assistant: …”, and the chat here asks in the same form.

Why: it is a base model that was never taught to talk, or its folder is incomplete. It has to learn the form of a conversation beside what
your examples teach, which takes more of them.

What to do: if there is an instruct or chat version of the same model, it learns to answer from fewer examples. In other programs, use the
template that is exported with the model.
"""

from advisor.rules import Case, Found, advice, fact, rule


@rule("R56", "template", "info", "inform", before=True)
def check(case: Case) -> Found | None:
    """Conversations, and a model without a template."""
    facts = case.facts
    if facts is None or facts.plain or facts.template:
        return None
    words = "The model has no chat template; the examples are written as “User: … Assistant: …”."
    fix = advice("Choose the instruct or chat version of this model.")
    return Found(0.9, words, (fact("chat template of the model", "none"),), (fix,))
