"""It warms up for most of the run.

What it looks like: the learning rate still rises when the run is half over, or never reaches what was asked for. Little is learned, and the
loss is still falling at the end.

Why: a warm-up makes the first corrections small, so that they do no harm. It takes a twentieth or a tenth of a run. Where a limit, a clock
or patience ends the run early, the warm-up may be most of what was made of it.

What to do: a warm-up of a twentieth.
"""

from advisor.rules import Case, Found, change, fact, rule
from advisor.rules._reading import ended_well, improved, learned_little
from advisor.tasks import TEXT_AND_PICTURES
from loralab.core.words import count

LONG, MOST = 0.4, 0.8  # of the updates made: nobody warms up so long; from the other on an alarm
USUAL = 0.05
FEWEST = 10  # updates: of fewer, a warm-up of some is always a large part


@rule("R116", "no learning", "warning", "propose", before=True, during=False, tasks=TEXT_AND_PICTURES)
def check(case: Case) -> Found | None:
    """A warm-up that takes most of what is made: said before the start; after it, the cause where the run learned little."""
    course = case.course
    part, updates = course.warm_part, course.updates or course.updates_planned()
    if course.warm_share <= 2 * USUAL or not part >= LONG or updates < FEWEST or (case.view is not None and not ended_well(case)):
        return None
    evidence = (
        fact("warm-up", course.warm_share, "of the plan"),
        fact("updates of warm-up", course.warm_updates),
        fact("updates in all", updates),
    )
    words = f"{count(course.warm_updates, 'update')} of warm-up {'are' if course.warm_updates != 1 else 'is'} {part:.0%} of the run."
    fix = change(f"Warm up for {USUAL:g} of the run.", warmup=USUAL)
    if case.view is None:
        words += " It learns little that way, as if it had a far smaller learning rate."
        return Found(0.75 if part >= MOST else 0.6, words, evidence, (fix,))
    little = learned_little(case) or not improved(case)
    return Found(0.75 if little else 0.4, words, evidence, (fix,), severity="warning" if little else "info")
