"""Its answers contain marks that nobody is meant to read.

What it looks like: after training, answers contain special tokens or thinking marks more often than before.

Why: the examples taught it: their text contains such marks, or the template's marks were learned as words.

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
    words = f"{score.after:.0%} of its answers contain marks that are not meant to be read; before training it was {score.before:.0%}."
    fix = advice("Remove marks of templates from the examples.", "strip_marks")
    return Found(0.6, words, evidence, (fix,))
