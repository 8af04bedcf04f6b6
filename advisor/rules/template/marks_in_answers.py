"""Marks that nobody is meant to read stand in its answers.

What it looks like: after training, answers hold special tokens or thinking marks more often than before.

Why: the examples taught it: marks stood in their text, or the template's marks were learned as words.

What to do: look for such marks in the examples and remove them; then train again.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules._examples import share


@rule("R82", "template", "warning", "propose")
def check(case: Case) -> Found | None:
    """The verdict's measure of leaked markers got worse, and the examples' own marks do not explain it."""
    score = case.signals.score("leaks")
    if score is None or score.verdict != "worse" or (case.facts is not None and share(case.facts, "marked") >= 0.02):
        return None
    evidence = (fact("answers with marks, before training", score.before), fact("the same after training", score.after))
    words = f"{score.after:.0%} of its answers hold marks that are not meant to be read; before training it was {score.before:.0%}."
    fix = advice("Remove marks of templates from the examples.", "strip_marks")
    return Found(0.6, words, evidence, (fix,))
