"""Learning inside the model added nothing to the quick look.

What it looks like: the verdict says that the quick look, in which the model keeps its eyes and only the part that answers learns, does
just as well.

Why: the model came with eyes that are good enough for these pictures, or there are too few to teach it to see better, or too few held out
to show it.

What to do: nothing is wrong, and what was trained can be used. For more pictures of the same kind the quick look alone is enough, and it
takes a fraction of the time. To gain more, add pictures that it gets wrong.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules.pictures._reading import PICTURE_TASKS, good, lost, percent, probe
from loralab.core.words import count

FEWEST_UPDATES = 5  # fewer were not meant to add anything


@rule("R213", "no learning", "info", "inform", during=False, tasks=PICTURE_TASKS)
def check(case: Case) -> Found | None:
    """A verdict against the quick look that shows no gain."""
    found = probe(case)
    if found.get("verdict") not in ("no difference seen", "cannot tell yet") or lost(case):
        return None
    if len(case.signals.steps) < FEWEST_UPDATES:
        return None
    before, after = float(found["probe"]), float(found["after"])
    evidence = (
        fact("measure of the quick look alone", percent(before)),
        fact("measure at the end", percent(after)),
        fact("held-out pictures", int(found["n"])),
    )
    words = f"The quick look alone reaches {percent(before)}, and the whole training {percent(after)}."
    if good(case):
        words += " There was next to nothing left to gain."
    else:
        words += f" On {count(int(found['n']), 'held-out picture')} that may be chance."
    fixes = (advice("Use it as it is; next time the quick look alone may do."), advice("Add pictures like those it gets wrong.", "add"))
    return Found(0.3, words, evidence, fixes)
