"""The trigger word stands in some captions as a word of its own.

What it looks like: the style comes also without being asked for, and the trigger word draws the thing that it usually means.

Why: a trigger word is to mean nothing but your style. A word that captions use anyway, or that the base knows, already means something.

What to do: a made-up word, such as your name with a number or without its vowels.
"""

from advisor.rules import Case, Found, change, fact, rule
from advisor.rules.drawing._reading import DRAWING_TASKS
from loralab.core.words import count

MADE_UP = "zqstyle"


@rule("R244", "data", "warning", "propose", before=True, tasks=DRAWING_TASKS)
def check(case: Case) -> Found | None:
    """The trigger in some captions and not in others; where it is in all of them, they were written with it."""
    facts = case.facts
    if facts is None or not 0 < facts.said_trigger < facts.n_train:
        return None
    n, said = facts.n_train, facts.said_trigger
    word = case.drawing.trigger
    evidence = (fact("captions with the trigger word", said, line=f"“{word}”"), fact("captions", n))
    words = f"“{word}” stands in {said:,} of {count(n, 'caption')} already, so it means something there."
    return Found(0.55, words, evidence, (change(f"Use a made-up word: “{MADE_UP}”.", trigger=MADE_UP),))
