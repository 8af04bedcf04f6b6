"""What was learned does not hold for new pictures at all.

What it looks like: the verdict says that it learned nothing: on pictures it never saw it is no better than always giving the same answer.

Why: the classes do not belong to the pictures (files that were sorted or named wrongly, masks or boxes of other pictures), or what tells
them apart cannot be seen at this size, or cannot be seen at all.

What to do: open ten pictures and say yourself what they are, without looking at their names. If you cannot tell, the model cannot either.
If you can, look whether folders, masks or boxes belong to these pictures.
"""

from advisor.rules import Case, Found, advice, change, fact, rule
from advisor.rules._reading import boldness
from advisor.rules.pictures._reading import PICTURE_TASKS, dearer, main, multiple, over, own_side, percent, probe, rows
from advisor.rules.pictures.rate_far_off import HIGH
from loralab.core.words import count

FEWEST = 20  # held-out pictures: fewer show nothing
LARGER = 1.5  # times the picture size that the pictures themselves have


@rule("R226", "no learning", "warning", "propose", during=False, tasks=PICTURE_TASKS)
def check(case: Case) -> Found | None:
    """Nothing learned by verdict, and nothing by the quick look either."""
    found, score = case.view.conclusion if case.view else None, main(case)
    n = len(rows(case)) or (score.n if score else 0)
    if found is None or score is None or found.learned != "no" or n < FEWEST or not over(case) or boldness(case) >= HIGH:
        return None
    evidence = [fact(f"{score.label or score.name}, of {count(n, 'held-out picture')}", percent(score.after))]
    evidence.append(fact("what it is held against", percent(score.before)))
    if quick := probe(case):
        evidence.append(fact("measure of the quick look alone", percent(float(quick["probe"]))))
    words = f"On {count(n, 'picture')} it never saw it reaches {percent(score.after)}; "
    words += f"without a look at them it would be {percent(score.before)}."
    fixes = [advice("Open ten pictures, and look whether folders, masks or boxes belong to them.", "review")]
    side, own = case.pictures.image_size, own_side(case.facts) if case.facts else 0
    if own >= LARGER * side:
        larger = min(multiple(2 * side), multiple(own))
        times, cost = dearer(side, larger)
        evidence.append(cost)
        fixes.append(change(f"Use a picture size of {larger} pixels; it takes about {times:g} times as long.", image_size=larger))
    return Found(0.65, words, evidence, fixes)
