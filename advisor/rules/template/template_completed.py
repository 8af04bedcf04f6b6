"""The model's chat template lacked something, and LoRALab put it in.

What it looks like: nothing is wrong. Answers begin and end as they should, here and in what you take away.

Why: some templates do not say where an answer begins when one is asked for, write no mark that ends it, or refuse a conversation without a
system message. A model trained with such a template answers with nothing, or never stops. What was put in was tried first, and goes out
with every export.

What to do: nothing. In other programs, use the template that is exported with your model, not the one of the original.
"""

from advisor.rules import Case, Found, fact, rule
from loralab.core.words import listed

SAID = {
    "system": "the empty system message it insists on",
    "beginning": "the words an answer begins after",
    "end": "the mark that ends an answer",
}


@rule("R104", "template", "info", "inform", before=True)
def check(case: Case) -> Found | None:
    """A template that was completed."""
    facts = case.facts
    if facts is None or facts.plain or not facts.template_added:
        return None
    what = listed([SAID[name] for name in facts.template_added if name in SAID])
    words = f"The model's own template lacks {what}. It is put in here, and in everything you take away."
    return Found(0.9, words, (fact("put into the template", what),))
