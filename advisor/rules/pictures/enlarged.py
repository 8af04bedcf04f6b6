"""The pictures are enlarged many times before they are looked at.

What it looks like: training takes long, and a larger picture size changes nothing about the result.

Why: a picture of 50 pixels has no more in it when it is drawn with 500. The model sees somewhat better when small pictures are enlarged a
little, and gains nothing beyond that.

What to do: a smaller picture size is as good and much quicker. Where there are larger originals of these pictures, use those.
"""

from advisor.rules import Case, Found, advice, change, fact, rule
from advisor.rules.pictures._reading import PICTURE_TASKS, SMALLEST, multiple, own_side

MANY = 6.0  # times the pictures' own size
ENOUGH = 2.0  # times: what helps the model a little


@rule("R205", "data", "info", "propose", before=True, tasks=PICTURE_TASKS)
def check(case: Case) -> Found | None:
    """The picture size against the pictures' own."""
    facts, side = case.facts, case.pictures.image_size
    if facts is None or not own_side(facts) or side < MANY * own_side(facts):
        return None
    own = own_side(facts)
    times = float(f"{side / own:.2g}")
    evidence = (
        fact("longer side of a usual picture", own, "pixels"),
        fact("picture size in the plan", side, "pixels"),
        fact("times the pictures' own size", times),
    )
    words = f"A usual picture is {own:,} pixels long and is looked at with {side:,}, {times:g} times its size."
    smaller = max(SMALLEST[case.plan.task], multiple(ENOUGH * own))
    fixes = [advice("Use larger originals of these pictures, if there are any.")]
    if smaller < side:
        fixes.insert(0, change(f"Use a picture size of {smaller} pixels: it shows as much and is quicker.", image_size=smaller))
    return Found(0.45 if smaller < side else 0.3, words, evidence, fixes)
