"""The learning rate is far outside what works for pictures.

What it looks like: far too large, the loss jumps and what the model saw before is destroyed within a few corrections. Far too small, the
run ends where the quick look had left it.

Why: the model that sees comes with good eyes, and small corrections make them better at your pictures. Large ones overwrite them.

What to do: the usual rate, with which such trainings begin.
"""

from advisor.diagnosis.usual import rate_words, usual_rate
from advisor.rules import Case, Found, change, fact, rule
from advisor.rules._reading import boldness, ended_well, ran_away
from advisor.rules.pictures._reading import PICTURE_TASKS, lost, probe
from loralab.core.words import times as times_usual

HIGH, WRECKED, LOW = 10.0, 50.0, 0.02  # times the usual


@rule("R223", "instability", "warning", "propose", before=True, tasks=PICTURE_TASKS)
def check(case: Case) -> Found | None:
    """The rate against the usual one, loudness counted; after a run only where it came to nothing."""
    times = boldness(case)
    if LOW < times < HIGH or (case.view is not None and not _to_blame(case, times)):
        return None
    rate, ratio = rate_words(usual_rate(case)), float(f"{times:.2g}")
    evidence = (fact("learning rate", case.asked.learning_rate), fact("usual for pictures", rate), fact("times the usual", ratio))
    words = f"A learning rate of {case.asked.learning_rate:g} is {times_usual(ratio)} the usual for pictures"
    words += ": it will most likely destroy what the model sees." if times >= HIGH else ": it will hardly change anything."
    if case.view is not None:
        words = words.replace("it will most likely destroy", "it destroyed").replace("it will hardly change", "it hardly changed")
    fix = change(f"Use a learning rate of {rate:g}.", learning_rate=rate)
    sure = 0.9 if times >= WRECKED or case.view is not None else 0.7
    return Found(sure, words, evidence, (fix,), severity="error" if times >= WRECKED else "warning")


def _to_blame(case: Case, times: float) -> bool:
    """Whether what came of a run is what such a rate does. One that the guard put right has been told."""
    if not ended_well(case) or ran_away(case):
        return False
    if times >= HIGH:
        return lost(case)
    return probe(case).get("verdict", "") in ("no difference seen", "cannot tell yet")
