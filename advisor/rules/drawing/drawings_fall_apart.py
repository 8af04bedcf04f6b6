"""The learning rate is so high that pictures fall apart.

What it looks like: colours turn harsh, shapes dissolve into spots or noise, and what it draws is further from your pictures than before.

Why: each correction changes how noise is turned into a picture a little. Corrections that are too big undo what the base had learned from
very many pictures, faster than yours can teach anything.

What to do: the usual rate for this base.
"""

from advisor.rules import Case, Found, change, fact, rule
from advisor.rules.drawing._reading import DRAWING_TASKS, compared, score, usual_rate
from loralab.core.words import times as times_usual

HIGH, WRECKED, BLAMED = 8.0, 40.0, 3.0  # times the usual: before a run, surely, and where the drawings got worse


@rule("R242", "instability", "warning", "propose", before=True, tasks=DRAWING_TASKS)
def check(case: Case) -> Found | None:
    """The rate against the usual one; after a run only where its drawings or its loss got worse."""
    rate, usual = case.asked.learning_rate, usual_rate(case)
    ratio = float(f"{rate / usual:.2g}")
    evidence = [fact("learning rate", rate), fact("usual for this base", usual), fact("times the usual", ratio)]
    if case.view is None:
        if ratio < HIGH:
            return None
        words = f"A learning rate of {rate:g} is {times_usual(ratio)} the usual for this base: pictures will most likely fall apart."
    else:
        worse = [one for one in (score(case, "look"), score(case, "loss")) if one is not None and one.verdict == "worse"]
        if not worse or ratio < BLAMED:
            return None
        evidence += compared(worse[0])
        words = f"What it draws got worse, and a learning rate of {rate:g} is {times_usual(ratio)} the usual for this base."
    fix = change(f"Use a learning rate of {usual:g}.", learning_rate=usual)
    sure = 0.9 if ratio >= WRECKED or case.view is not None else 0.7
    return Found(sure, words, evidence, (fix,), severity="error" if ratio >= WRECKED else "warning")
