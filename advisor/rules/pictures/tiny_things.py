"""Some things are too small to be told at this picture size.

What it looks like: large things are found, small ones are missed or guessed at.

Why: before it is looked at, a picture is made as large as the plan says. A thing of fewer than eight pixels is two places wide or less in
what the model sees of it, and nothing about its shape is left.

What to do: a larger picture size, which takes more time and memory, by the square. Where things are tiny against whole pictures, cut the
pictures into pieces instead.
"""

from advisor.rules import Case, Found, advice, change, fact, rule
from advisor.rules.pictures._reading import LARGEST, dearer, good, multiple, percent
from loralab.core.facts import TINY_PIXELS
from loralab.core.words import count, plural

SHARE, MANY = 0.1, 0.25  # of all things: worth knowing, and worth an alarm
LEAST = 3  # things
MOST = 2.5  # times the picture size: beyond that pieces are the better way


@rule("R203", "data", "warning", "propose", before=True, tasks=frozenset({"detect", "segment"}))
def check(case: Case) -> Found | None:
    """Share of the boxes, or marked areas, that are tiny as the model looks at them."""
    facts = case.facts
    if facts is None or not facts.things or facts.tiny < LEAST or facts.tiny <= SHARE * facts.things:
        return None
    share, side = facts.tiny / facts.things, case.pictures.image_size
    what = ("box", "boxes") if case.plan.task == "detect" else ("marked area", "marked areas")
    evidence = [
        fact(f"{what[1]} to learn from", facts.things),
        fact(f"of these smaller than {TINY_PIXELS} pixels", facts.tiny, rows=facts.rows.get("tiny", ())),
        fact("picture size", side, "pixels"),
    ]
    words = (
        f"{facts.tiny:,} of {count(facts.things, *what)} {plural(facts.tiny, 'is', 'are')} smaller than {TINY_PIXELS} pixels at this size."
    )
    needed = multiple(TINY_PIXELS / facts.small_side) if facts.small_side else LARGEST
    fixes = [advice("Cut the pictures into pieces, so that things are larger in them.")]
    if side < needed <= MOST * side:
        times, cost = dearer(side, needed)
        evidence.append(cost)
        fixes.insert(0, change(f"Use a picture size of {needed} pixels; it takes about {times:g} times as long.", image_size=needed))
    if good(case):
        return Found(0.2, words, evidence, fixes, severity="info")
    if share < MANY:
        return Found(0.45, words, evidence, fixes, severity="info")
    return Found(0.7, f"{words} That is {percent(share)}.", [*evidence, fact("share of them", percent(share))], fixes)
