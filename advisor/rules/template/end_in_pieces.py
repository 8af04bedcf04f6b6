"""The marks of the chat template are not words of this model.

What it looks like: answers do not stop, or the marks of the template (such as <|im_end|>) stand in them for everyone to read.

Why: the template was made for another model. This model's tokenizer does not know its marks as one token each and spells them out letter by
letter, so that they neither begin nor end anything.

What to do: choose the version of the model that belongs to this template (usually named instruct or chat), or the template that belongs to
this model.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules._examples import seen, share

NEARLY_ALL = 0.95


@rule("R58", "template", "error", "block", before=True)
def check(case: Case) -> Found | None:
    """Marks that the template writes and the tokenizer takes apart; grave where no learned end is left."""
    facts = case.facts
    if facts is None or facts.plain or not facts.split_marks:
        return None
    endless = share(facts, "unended") >= NEARLY_ALL and facts.cut <= 0.5 * facts.unended
    evidence = (
        fact("marks the tokenizer takes apart", " ".join(facts.split_marks)),
        seen(facts, "unended", "examples whose answer has no learned end"),
    )
    words = f"The template writes {', '.join(facts.split_marks)}, which this model reads letter by letter."
    words += " No answer would ever end." if endless else ""
    fix = advice("Choose the instruct or chat version of this model.")
    return Found(
        0.97 if endless else 0.6,
        words,
        evidence,
        (fix,),
        severity="error" if endless else "warning",
        action="block" if endless else "propose",
    )
