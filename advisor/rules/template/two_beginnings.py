"""Examples start with the mark of the beginning twice.

What it looks like: the first two tokens of an example are both “beginning of text”. Training looks healthy; the answers are a little worse
than they could be, and much worse where the model is later asked with one beginning.

Why: the chat template writes the mark and the text of the example contains it, too (it was prepared for a model before), or the template
of this model writes it twice.

What to do: remove the mark from the examples. If the examples do not contain it, the model's folder is at fault: choose another copy.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules._examples import seen, share, some


@rule("R55", "template", "warning", "propose", before=True)
def check(case: Case) -> Found | None:
    """Examples whose first two tokens are the same beginning."""
    facts = case.facts
    if facts is None or not facts.begun_twice:
        return None
    evidence = (seen(facts, "begun_twice", "examples that begin twice"), fact("examples that hold marks of a template", facts.marked))
    words = f"{some(facts.begun_twice, facts, 'starts', 'start')} with the mark of the beginning twice."
    ways = (advice("Remove the marks of other templates from the examples.", "strip_marks", facts.begun_twice),)
    return Found(0.6 + 0.35 * share(facts, "begun_twice"), words, evidence, ways)
