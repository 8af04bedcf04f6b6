"""One picture is too large for this computer at this size.

What it looks like: the run stops with a question. A single picture, computed alone, does not fit into memory.

Why: memory grows with the pixels that go through the model together, and one picture cannot be split.

What to do: a smaller picture size, or close other programs; then resume. Nothing learned so far is lost.
"""

from advisor.rules import Case, Found, advice, change, fact, rule
from advisor.rules._memory import ran_out
from advisor.rules.pictures._reading import PICTURE_TASKS, multiple

SMALLER = 0.7  # of the side: half of the pixels


@rule("R222", "memory", "error", "propose", tasks=PICTURE_TASKS)
def check(case: Case) -> Found | None:
    """The run asked a question over one picture."""
    if case.signals.code != "does_not_fit" or case.view is None or case.view.ending is None:
        return None
    found = ran_out(case, "one example", "looking", "learning")
    side = case.pictures.image_size
    evidence = [fact("picture size", side, "pixels"), fact("its last words", line=case.view.ending.what)]
    if found:
        evidence.append(fact("times memory ran out", len(found), step=found[0].step + 1))
    smaller = multiple(SMALLER * side, up=False)
    fixes = [advice("Close other programs and resume.")]
    if smaller < side:
        fixes.insert(0, change(f"Use a picture size of {smaller} pixels: it takes half of the memory.", image_size=smaller))
    return Found(0.9, f"A single picture of {side} pixels does not fit into memory.", evidence, fixes)
