"""The pictures are looked at much smaller than they are.

What it looks like: what tells the classes apart is plain to see in the pictures themselves and gone when they are made small; the measures
stay low whatever is changed.

Why: before it is looked at, a picture is made as large as the plan says. Hairlines, small letters and textures are lost first.

What to do: a larger picture size. It takes more time and memory, by the square: twice the side takes four times as much.
"""

from advisor.rules import Case, Evidence, Fix, Found, advice, change, fact, rule
from advisor.rules.pictures._reading import PICTURE_TASKS, SMALLEST, dearer, main, multiple, own_side, poor
from loralab.core.words import about

LARGER = 1.5  # times the picture size that the pictures themselves have
SHRUNK = 2.0  # likewise, before a run, where the size is below what is ever proposed
NEXT = 1.5  # times the picture size, for the next try


@rule("R204", "data", "info", "propose", before=True, tasks=PICTURE_TASKS)
def check(case: Case) -> Found | None:
    """Before a run: a size below what is ever proposed. After one whose measures are low: a size below the pictures' own."""
    facts, side, least = case.facts, case.pictures.image_size, SMALLEST[case.plan.task]
    if facts is None or not own_side(facts):
        return None
    own = own_side(facts)
    evidence = [fact("longer side of a usual picture", own, "pixels"), fact("picture size in the plan", side, "pixels")]
    if case.view is None:
        if side >= least or own < SHRUNK * side:
            return None
        larger = min(least, multiple(own))
        words = f"A usual picture is {own:,} pixels long and is looked at with {side:,}: most of what is in it is lost."
        return Found(0.65, words, evidence, _fixes(case, larger, evidence), severity="warning")
    score = main(case)
    if score is None or not poor(case) or own < LARGER * side:
        return None
    evidence.append(fact(score.label or score.name, score.after))
    words = f"A usual picture is {own:,} pixels long and was looked at with {side:,}. What tells things apart may be too fine for that."
    far = side < least and own >= SHRUNK * side  # what is never proposed comes first of all that may be to blame
    fixes = _fixes(case, max(min(least, multiple(own)) if far else 0, min(multiple(NEXT * side), multiple(own))), evidence)
    return Found(0.65 if far else 0.5, words, evidence, fixes, severity="warning" if far else "info")


def _fixes(case: Case, larger: int, evidence: list[Evidence]) -> list[Fix]:
    """A larger size with what it costs, told in `evidence`, too."""
    times, cost = dearer(case.pictures.image_size, larger)
    evidence.append(cost)
    took = case.view.ending.result.get("seconds") if case.view and case.view.ending else None
    long = f"; this run took {about(took)}" if isinstance(took, float) else ""
    fix = change(f"Use a picture size of {larger} pixels. It takes about {times:g} times the time and memory{long}.", image_size=larger)
    return [fix, advice("Cut out the part of each picture that matters.")]
