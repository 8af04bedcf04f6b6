"""Single examples give no usable number.

What it looks like: the loss of a few examples is not a number, or nothing in them can be learned from, whenever their turn comes; all
other examples are fine.

Why: such a row usually has an empty answer, strange characters, or nothing but what the model only reads. Dividing by nothing, or
reading what no text is, gives “not a number”, and one such row would spoil the whole update it is part of.

What to do: look at the rows named and repair or delete them. A run leaves them out by itself and goes on with the others.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules._reading import repaired
from advisor.tasks import TEXT_AND_PICTURES
from advisor.text import is_text
from loralab.core.words import count, plural


@rule("R01", "non-finite", "warning", "propose", tasks=TEXT_AND_PICTURES)
def check(case: Case) -> Found | None:
    """The guard tried examples alone and found some that break while others do not."""
    found = case.signals.incidents("bad_row", "nothing_to_learn")
    rows = tuple(dict.fromkeys(int(row) for incident in found for row in incident.data.get("rows", ())))
    if not rows:
        return None
    bad = any(incident.code == "bad_row" for incident in found)
    what = "examples that give no number" if bad else "examples with nothing to learn from"
    evidence = (fact(what, len(rows), step=found[0].step, rows=rows),)
    does = (
        plural(len(rows), "gives", "give") + " a loss that is not a number"
        if bad
        else plural(len(rows), "has", "have") + " nothing to learn from"
    )
    words = f"{count(len(rows), 'example')} {does}, and the others are fine.{repaired(case)}"
    drop = "drop" if is_text({"task": case.plan.task}) else ""
    fix = advice("Look at these rows, and repair or delete them.", drop, len(rows))
    return Found(0.95, words, evidence, (fix,))
