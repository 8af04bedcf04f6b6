"""The training process crashed.

What it looks like: the run ends at once in the middle, with a name such as “segmentation fault” or a number.

Why: a fault in native code: a driver that does not fit the installed torch, an overclocked or failing memory or card, seldom a bug.

What to do: resume it: it goes on from its last safety copy. If it crashes again at the same place, update the graphics driver, close
LoRALab and start it again so that it repairs its installation, and have the memory tested.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules._examples import code, last_words


@rule("R100", "environment", "error", "inform", tasks=None)
def check(case: Case) -> Found | None:
    """The process ended by a signal or an exit code that nobody chose."""
    if code(case) != "crashed" or case.view is None:
        return None
    evidence = (last_words(case), fact("updates made", case.view.step))
    fixes = (advice("Resume it."), advice("Update the graphics driver, then close LoRALab and start it again."))
    return Found(0.7, "The training process crashed in native code.", evidence, fixes)
