"""Many pictures have a shape that does not fit, or are smaller than what is drawn.

What it looks like: things are cut off at the edge or stand in wide margins, or everything is a little blurred.

Why: pictures are fitted into the shapes that the base draws. A strip that is five times as long as it is high loses its ends there, and on
the small starter it becomes a thin band. A picture that is smaller than what is drawn is enlarged, and enlarging is learned with the style.

What to do: cut out the part that matters, about as wide as it is high, from large originals.
"""

from advisor.rules import Case, Found, advice, change, fact, rule
from advisor.rules.drawing._reading import DRAWING_TASKS, large
from loralab.core.words import count

MANY = 0.2  # of the pictures
GRID = 64  # pixels: sides of the larger bases are multiples of this


@rule("R245", "data", "info", "propose", before=True, tasks=DRAWING_TASKS)
def check(case: Case) -> Found | None:
    """Pictures more than three times as long as wide, or most of them smaller than what is drawn."""
    facts, side = case.facts, case.drawing.image_size
    if facts is None or not facts.n_train or not facts.sides:
        return None
    n, odd, own = facts.n_train, facts.oblong, facts.sides.get("p50", side)
    evidence = [fact("pictures to learn from", n), fact("pictures much longer than they are wide", odd)]
    evidence += [fact("longer side of a usual picture", own, "pixels"), fact("picture size in the plan", side, "pixels")]
    cut = advice("Cut out the part of each picture that matters, about as wide as it is high.", "review", odd)
    if odd > MANY * n:
        return Found(0.5, f"{odd:,} of {count(n, 'picture')} are much longer than they are wide: their ends are lost.", evidence, (cut,))
    smaller = own // GRID * GRID
    if not large(case) or own >= side or not smaller:
        return None
    words = f"A usual picture is {own:,} pixels long and is enlarged to {side:,}: it would learn to draw blurred."
    fixes = (change(f"Use a picture size of {smaller} pixels.", image_size=smaller), advice("Use larger originals, if there are any."))
    return Found(0.5, words, evidence, fixes)
