"""There are too few pictures of a class.

What it looks like: one class is hardly ever found, or only where a picture resembles one of the few that were learned from.

Why: with a handful of pictures of a thing the model learns these pictures, not the thing. Fewer than eight cannot be learned from and
tested with at once; with fewer than fifteen the result depends on which of them it happened to learn from.

What to do: add pictures of that class, taken in different places and on different days, or join it with a class it resembles. Letting rare
kinds count for as much as common ones helps a little.
"""

from advisor.rules import Case, Found, advice, change, fact, rule
from advisor.rules.pictures._reading import NOUNS, PICTURE_TASKS
from loralab.core.words import count, listed, plural

FEW, SCARCE = 8, 15  # to learn from
SHOWN = 5


@rule("R201", "data", "warning", "propose", before=True, tasks=PICTURE_TASKS)
def check(case: Case) -> Found | None:
    """Classes of which there are fewer than SCARCE to learn from."""
    facts = case.facts
    if facts is None:
        return None
    few = [(label, n) for label, n in sorted(facts.of_class.items(), key=lambda one: one[1]) if n < SCARCE]
    if not few:
        return None
    one, many = NOUNS[case.plan.task]
    bad = few[0][1] < FEW
    told = [(label, n) for label, n in few if n < FEW] if bad else few
    named = listed([f"“{label}” ({n:,})" for label, n in told[:SHOWN]])
    more = f" and {len(told) - SHOWN:,} more" if len(told) > SHOWN else ""
    said = f"{count(len(told), 'class', 'classes')} {plural(len(told), 'has', 'have')}"
    words = f"{said} fewer than {FEW if bad else SCARCE} {many} to learn from: {named}{more}."
    evidence = [fact(f"{many} of “{label}” to learn from", n) for label, n in told[:SHOWN]]
    label, n = few[0]
    fixes = [advice(f"Add at least {count(SCARCE - n, f'more {one}', f'more {many}')} of “{label}”.", "add", SCARCE - n)]
    if case.plan.task == "classify" and case.pictures.class_weights == "none":
        fixes.append(change("Let rare kinds count for as much as common ones.", class_weights="balanced"))
    return Found(0.6 if bad else 0.4, words, evidence, fixes, severity="warning" if bad else "info")
