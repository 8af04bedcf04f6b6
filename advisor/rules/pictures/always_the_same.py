"""Whatever is shown, it says the same.

What it looks like: nearly every picture is sorted into one class, or nothing is marked or found in any of them.

Why: where one answer is mostly right, giving it always is the first thing that is learned, and with too few corrections, or too big ones,
the only thing. Pictures whose classes are mixed up have the same effect.

What to do: let rare kinds count for as much as common ones, and train longer; look at a few pictures of each class whether they are where
they belong.
"""

from typing import Any

from advisor.rules import Case, Found, advice, change, fact, rule
from advisor.rules.pictures._reading import PICTURE_TASKS, rows, table
from loralab.core.words import count

ALWAYS = 0.95  # of the answers
FEWEST = 8  # pictures: fewer may be alike by chance
MOSTLY = 0.9  # of the truth: where nearly all are of one class, it is right to say so


@rule("R214", "no learning", "error", "propose", during=False, tasks=PICTURE_TASKS)
def check(case: Case) -> Found | None:
    """One class in nearly all answers and not in nearly all truths; or a verdict that nothing is found at all."""
    found = case.view.conclusion if case.view else None
    if case.plan.task != "classify":
        if found is None or found.alarm != "empty":
            return None
        evidence = (fact("held-out pictures in which it finds or marks nothing", len(rows(case)) or None),)
        return Found(0.9, found.usable_words, evidence, _fixes(case))
    kinds: list[dict[str, Any]] = table(case).get("per_class", [])
    n = sum(int(kind["n"]) for kind in kinds)
    if n < FEWEST or len(kinds) < 2:
        return None
    most = max(kinds, key=lambda kind: int(kind["said"]))
    if most["said"] < ALWAYS * n or most["n"] > MOSTLY * n:
        return None
    evidence = (
        fact(f"held-out pictures sorted into “{most['label']}”", int(most["said"])),
        fact(f"held-out pictures that are “{most['label']}”", int(most["n"])),
        fact("held-out pictures", n),
    )
    words = f"It sorts {int(most['said']):,} of {count(n, 'held-out picture')} into “{most['label']}”, and {int(most['n']):,} belong there."
    return Found(0.9, words, evidence, _fixes(case))


def _fixes(case: Case) -> list[Any]:
    fixes = []
    if case.plan.task == "classify" and case.pictures.class_weights == "none":
        fixes.append(change("Let rare kinds count for as much as common ones.", class_weights="balanced"))
    fixes.append(change("Train about twice as long.", **case.course.longer()))
    return [*fixes, advice("Look at a few pictures of each kind: are they where they belong?", "review")]
