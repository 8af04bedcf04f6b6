"""Something other than what the pictures show tells the classes apart.

What it looks like: the result is excellent at once, and bad on pictures from another camera, program or place.

Why: a model takes the easiest way. Where all pictures of one class are darker, larger, or saved by another program, it learns that. What
it was meant to see it never had to look at.

What to do: take or save the pictures of all classes in the same way, or test it on pictures from elsewhere before anybody relies on it.
Where the difference is real (night is darker than day), nothing has to be done.
"""

import re

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules.pictures._reading import main

_AREA = re.compile(r"AUC (\d\.\d+)")
TELLING = 0.9  # of the main measure: as good as the shortcut itself


@rule("R209", "data", "warning", "inform", before=True, tasks=frozenset({"classify"}))
def check(case: Case) -> Found | None:
    """What the data doctor found without a look at what is shown."""
    facts = case.facts
    if facts is None or not facts.shortcuts:
        return None
    score = main(case)
    measured = [float(number) for line in facts.shortcuts for number in _AREA.findall(line)]
    evidence = [fact("how well the files alone tell them apart (AUC; 0.5 is chance, 1 is always)", max(measured, default=None))]
    evidence += [fact(score.label or score.name, score.after)] if score else []
    words = facts.shortcuts[0]
    if score and score.after >= TELLING:
        words += " It may have learned that, and not what the pictures show."
    fixes = (
        advice("Test it on pictures from another place, put into a folder called “test”."),
        advice("Take and save the pictures of all classes in the same way.", "review"),
    )
    return Found(0.55, words, evidence, fixes)
