"""Most of what is learned is brackets, quotes, names of fields or ids, not language.

What it looks like: the loss falls fast and far, because brackets and field names are easily foretold; the answers are data, or look like
it, and say nothing to a reader.

Why: a column with data in it was taken for an answer or a text (an export of a program, a list of ids), or answers in a fixed form are what
you want. Only you can tell which.

What to do: look at the preview. If the words you mean stand in another column, choose that. If answers in this form are what you want, go
on: they are judged by whether they are well formed and right, not by how likely they are.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules._examples import share
from loralab.core.facts import MOSTLY_STRUCTURE

OBJECTS = 0.9  # share of answers that are whole objects, from which on they are the likely wish


@rule("R105", "data", "warning", "propose", before=True)
def check(case: Case) -> Found | None:
    """Share of the learned tokens that are structure; milder where the answers are whole objects."""
    facts = case.facts
    if facts is None or facts.structure < MOSTLY_STRUCTURE or facts.n_train < 4:
        return None
    wanted = share(facts, "objects") >= OBJECTS and not facts.plain
    evidence = (
        fact("share of what is learned that is brackets, quotes, field names or ids", facts.structure),
        fact("answers that are whole objects or lists", facts.objects),
    )
    words = f"{facts.structure:.0%} of what it would learn is brackets, quotes, field names or ids. Is that the answer you want?"
    fix = advice("Look at the preview and choose the columns.", "fix_columns", facts.n_train)
    return Found(0.6 if wanted else 0.8, words, evidence, (fix,), severity="info" if wanted else "warning")
