"""No answer ends with what the model knows as the end.

What it looks like: the loss looks healthy and answers begin well, but none stops: after the answer the model invents the next question, or
repeats itself until it is cut off.

Why: the chat template of this model writes no mark behind an answer that the model knows as an end, and none could be put there: it was
tried. This is a fault of the model's folder (often: a base model with another model's template), not of your examples.

What to do: choose the instruct or chat version of the model, whose template and end belong together.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules._examples import seen, share, some

NEARLY_ALL = 0.95


@rule("R51", "template", "error", "block", before=True)
def check(case: Case) -> Found | None:
    """Nearly no conversation has a learned end, and it is not because they were cut."""
    facts = case.facts
    if facts is None or facts.plain or share(facts, "unended") < NEARLY_ALL or facts.cut > 0.5 * facts.unended or facts.split_marks:
        return None
    evidence = (
        seen(facts, "unended", "examples whose answer has no learned end"),
        fact("tokens that end an answer", facts.stops),
        fact("examples cut at the end", facts.cut),
    )
    words = f"{some(facts.unended, facts, 'does', 'do')} not teach where an answer ends: answers would never stop."
    return Found(0.97, words, evidence, (advice("Choose the instruct or chat version of this model."),))
