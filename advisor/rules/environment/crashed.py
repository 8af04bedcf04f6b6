"""The training process crashed.

What it looks like: the run ends at once in the middle, with a name such as “segmentation fault” or a number.

Why: a fault in native code: a driver that does not fit the installed torch, an overclocked or failing memory or card, seldom a bug.

What to do: resume it: it goes on from its last safety copy. If it crashes again at the same place, update the graphics driver, start
launch.py again so that it repairs the installation, and have the memory tested.
"""

from advisor.diagnosis.case import Case
from advisor.diagnosis.findings import Evidence, Fix, Found
from advisor.rules import Rule
from advisor.rules._examples import code, last_words


def check(case: Case) -> Found | None:
    """The process ended by a signal or an exit code that nobody chose."""
    if code(case) != "crashed" or case.view is None:
        return None
    evidence = (last_words(case), Evidence(what="updates made", value=case.view.step))
    fixes = (Fix(words="Resume it."), Fix(words="Update the graphics driver, and start launch.py again."))
    return Found(confidence=0.7, words="The training process crashed in native code.", evidence=evidence, fixes=fixes)


RULE = Rule("R100", "environment", "The training process crashed", "error", "inform", check, tasks=None)
