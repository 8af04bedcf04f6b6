"""This plan needs more memory than is free.

What it looks like: before the start, what the plan will need is more than what this computer has to give, with the margin that runs have
been seen to need.

Why: tokens at once, length, rank and precision decide it together with the size of the model.

What to do: fewer tokens at once, then computing results twice instead of keeping them, then half precision, then a smaller model. The
planner offers the nearest plans that fit.
"""

from advisor.rules import Case, Fix, Found, advice, amount, change, rule
from loralab.core.records import Footprint
from loralab.core.words import count, size
from loralab.lab import rows_that_fit


@rule("R75", "memory", "error", "propose", before=True)
def check(case: Case) -> Found | None:
    """The careful estimate is above what is free, and the weights alone are not."""
    needs = case.needs
    if case.view is not None or needs is None or not needs.free_bytes or needs.parts.get("weights", 0) > needs.free_bytes:
        return None
    fixes = _fixes(case, needs)
    if not fixes:
        return None
    evidence = (
        amount("it will need", needs.memory_bytes),
        amount("it may need at times", needs.upper_bytes),
        amount("memory that is free", needs.free_bytes),
    )
    sure = needs.memory_bytes > needs.free_bytes
    words = f"It needs about {size(needs.memory_bytes)}, and only {size(needs.free_bytes)} is free."
    return Found(0.9 if sure else 0.6, words, evidence, fixes, action="block" if sure else "propose")


def _fixes(case: Case, needs: Footprint) -> tuple[Fix, ...]:
    """As many tokens at once as the free memory takes, then the dearer ways; none where the plan fits."""
    rows = rows_that_fit(case.text, case.profile, needs)
    if rows is None:
        return ()
    found: list[Fix] = []
    if 0 < rows.fitting < rows.now:
        budget = rows.fitting * rows.tokens
        found.append(change(f"Compute at most {count(budget, 'token')} at once.", token_budget=budget))
    if case.text.recompute != "full":
        settings = {"token_budget": max(1, rows.fitting) * rows.tokens, "recompute": "full"}
        found.append(change("Compute results twice instead of keeping them.", **settings))
    return (*found, advice("Choose a smaller base model."), advice("Close other programs."))
