"""The captions say the same of every picture, or nothing.

What it looks like: whatever it is asked for, it draws much the same, and words change little.

Why: what a caption names can be asked for later; what it does not name becomes part of the style. Where all captions are alike, everything
in the pictures becomes the style, things and places included.

What to do: write one short sentence for each picture, about what is on it and not about how it is drawn.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules.drawing._reading import DRAWING_TASKS
from loralab.core.words import count

ALIKE = 0.2  # different captions for each picture: so few say next to nothing
SILENT = 0.5  # of the pictures without a word
FEWEST = 5  # pictures: fewer may be alike by chance


@rule("R243", "data", "warning", "propose", before=True, tasks=DRAWING_TASKS)
def check(case: Case) -> Found | None:
    """Few different captions, or many pictures without one."""
    facts = case.facts
    if facts is None or facts.n_train < FEWEST or not (facts.captions or facts.uncaptioned):
        return None
    n, silent, different = facts.n_train, facts.uncaptioned, facts.captions
    evidence = (fact("pictures to learn from", n), fact("different captions", different), fact("pictures without a caption", silent))
    fix = advice("Write a short sentence about what is on each picture, into a text file of the same name.", "review", n)
    if silent > SILENT * n:
        return Found(0.6, f"{silent:,} of {count(n, 'picture')} have no caption.", evidence, (fix,))
    if different > max(1.0, ALIKE * n):
        return None
    what = "the same caption" if different == 1 else f"one of {different:,} captions"
    return Found(0.6, f"Each of {count(n, 'picture')} has {what}.", evidence, (fix,))
