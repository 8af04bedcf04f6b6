"""What the rules about pictures read out of a case: sizes, classes, the verdict's tables, what the quick look was worth.

Invariant: pure functions of the case; where something is not known they say so (None, NaN or nothing) and never guess.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from advisor.diagnosis.case import Case
from advisor.diagnosis.findings import Evidence, fact
from advisor.rules._reading import ended_well, ran_away
from advisor.tasks import PICTURE_TASKS
from loralab.core.facts import Facts
from loralab.core.records import Score

__all__ = ["PICTURE_TASKS"]
STEP, LARGEST = 32, 2048  # pixels: sides of what the model looks at are multiples of the one, and no larger than the other
SMALLEST = {"classify": 96, "segment": 128, "detect": 256}  # pixels, below which a plan is never proposed (loralab/planning/pictures.py)
NOUNS = {"classify": ("picture", "pictures"), "detect": ("box", "boxes"), "segment": ("picture", "pictures")}  # what classes are counted in
GOOD = 0.97  # of the main measure: from here on there is next to nothing left to gain


def own_side(facts: Facts) -> int:
    """Longer side of a usual picture in its file, in pixels; 0 where it is not known."""
    return facts.sides.get("p50", 0)


def multiple(side: float, *, up: bool = True) -> int:
    """The side that a plan may have next to this one."""
    whole = math.ceil(side / STEP) if up else math.floor(side / STEP)
    return min(LARGEST, STEP * max(1, whole))


def dearer(now: int, then: int) -> tuple[float, Evidence]:
    """By how many times a larger side takes more time and memory: it grows with the square."""
    times = float(f"{(then / now) ** 2:.2g}")
    return times, fact("times the time and memory that would take", times)


def percent(share: float) -> str:
    """“25 %”."""
    return f"{100 * share:.0f} %"


# ---- the verdict -------------------------------------------------------------------------------------------------------------
def table(case: Case) -> Mapping[str, Any]:
    """The tables of the main measure; empty before a verdict."""
    found: Mapping[str, Any] = case.judged.get("tables", {})
    return next((value for name, value in found.items() if name != "probe" and isinstance(value, dict)), {})


def rows(case: Case) -> Sequence[Mapping[str, Any]]:
    """What was said of each held-out picture; empty before a verdict."""
    found: Mapping[str, Any] = case.judged.get("rows", {})
    return next(iter(found.values()), ())


def probe(case: Case) -> Mapping[str, Any]:
    """The verdict against the quick look: `probe`, `after`, `difference`, `low`, `high`, `verdict`; empty where there was none."""
    found: Mapping[str, Any] = case.judged.get("tables", {})
    return found.get("probe") or {}


def main(case: Case) -> Score | None:
    """The measure the verdict rests on."""
    final = case.signals.final
    return next((score for score in final.scores if score.main), None) if final else None


def good(case: Case) -> bool:
    """Whether next to nothing is left to gain."""
    score = main(case)
    return score is not None and score.after >= GOOD


def poor(case: Case) -> bool:
    """Whether a run was judged and cannot be used for all it was meant for."""
    found = case.view.conclusion if case.view else None
    return found is not None and found.usable in ("no", "partly")


# ---- the curves --------------------------------------------------------------------------------------------------------------
def lost(case: Case) -> bool:
    """Whether learning inside the model undid what the quick look had: the verdict says so, or no look was ever as good as at its start."""
    signals, word = case.signals, probe(case).get("verdict", "")
    if ran_away(case) or word == "better":
        return False
    if word == "worse":
        return True
    above = signals.best > signals.base + max(WORSE_SHARE * abs(signals.base), WORSE_NATS)
    return len(signals.looks) >= FEWEST_LOOKS and above and not good(case)


WORSE_SHARE, WORSE_NATS, FEWEST_LOOKS = 0.1, 0.02, 2  # of the start; nats, so that a loss near zero may move; looks that tell


def over(case: Case) -> bool:
    """Whether a run came to its end and went none of the ways that have names of their own."""
    return ended_well(case) and not ran_away(case) and not case.signals.incidents("non_finite")
