"""This plan needs more memory than is free.

What it looks like: before the start, what the plan will need is more than what this computer has to give, with the margin that runs have
been seen to need.

Why: tokens at once, length, rank and precision decide it together with the size of the model.

What to do: fewer tokens at once, then compute more twice instead of keeping it, then half precision, then a smaller model. The planner
offers the nearest plans that fit.
"""

from advisor.diagnosis.case import Case
from advisor.diagnosis.findings import Evidence, Fix, Found
from advisor.rules import Rule
from loralab.core.records import Footprint
from loralab.planning.estimate import FITS
from loralab.planning.estimate import HEADROOM as FILLED
from loralab.planning.memory import load, rows_at_once


def check(case: Case) -> Found | None:
    """The careful estimate is above what is free, and the weights alone are not."""
    needs = case.needs
    if case.view is not None or needs is None or not needs.free_bytes or needs.parts.get("weights", 0) > needs.free_bytes:
        return None
    if needs.upper_bytes <= FITS * needs.free_bytes:
        return None
    evidence = (
        Evidence(what="it will need", value=needs.memory_bytes / 1e9, unit="GB"),
        Evidence(what="it may need at times", value=needs.upper_bytes / 1e9, unit="GB"),
        Evidence(what="memory that is free", value=needs.free_bytes / 1e9, unit="GB"),
    )
    sure = needs.memory_bytes > needs.free_bytes
    words = f"It will need about {needs.memory_bytes / 1e9:.1f} GB and {needs.free_bytes / 1e9:.1f} GB are free."
    return Found(
        confidence=0.9 if sure else 0.6, words=words, evidence=evidence, fixes=_fixes(case, needs), action="block" if sure else "propose"
    )


def _fixes(case: Case, needs: Footprint) -> tuple[Fix, ...]:
    """As many tokens at once as the free memory takes, since results grow with them and the rest does not; then the dearer ways."""
    row = load(case.text, case.profile).row
    rows = rows_at_once(case.text, row)
    grows = needs.parts.get("activations", 0) + needs.parts.get("head", 0)
    room = FILLED * needs.free_bytes - (needs.upper_bytes - grows)
    fitting = int(rows * room / grows) if grows else 0
    found: list[Fix] = []
    if 0 < fitting < rows:
        found.append(Fix(words=f"Compute at most {fitting * row:,} tokens at once.", settings={"token_budget": fitting * row}))
    if case.text.recompute != "full":
        settings = {"token_budget": max(1, fitting) * row, "recompute": "full"}
        found.append(Fix(words="Compute results twice instead of keeping them.", settings=settings))
    return (*found, Fix(words="Choose a smaller base model."), Fix(words="Close other programs."))


RULE = Rule("R75", "memory", "This plan needs more memory than is free", "error", "propose", check, before=True)
