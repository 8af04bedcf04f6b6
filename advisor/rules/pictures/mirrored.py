"""Pictures are mirrored in which left and right are not the same.

What it looks like: what lies on one side, or points to one side, is told less surely than it could be.

Why: the heart lies on the left, the liver on the right, and letters are written one way round. A mirrored chest is that of another person,
and a rare finding of its own; a model that sees half of its pictures mirrored learns that sides do not matter.

What to do: use the variations for X-rays, which never mirror, whatever is in the pictures. For pictures from a microscope, which have no
sides, mirroring is fine.
"""

import re
from pathlib import PurePath

from advisor.rules import Case, Evidence, Found, change, fact, rule
from advisor.rules.pictures._reading import PICTURE_TASKS

MIRRORED = ("photo", "microscope")
_NAMES = re.compile(r"x.?ray|r(ö|oe)ntgen|radiograph|\bcxr|chest|thorax|pneumo|cardiomegaly|pleura|dextrocardia", re.IGNORECASE)


@rule("R207", "data", "warning", "propose", before=True, tasks=PICTURE_TASKS)
def check(case: Case) -> Found | None:
    """Under variations that mirror: medical pictures, such as are called X-rays, and such as differ from their mirror image on average."""
    facts, augmentation = case.facts, case.pictures.augmentation
    if facts is None or augmentation not in MIRRORED:
        return None
    named = next((name for name in (PurePath(case.plan.dataset).stem, *facts.of_class) if _NAMES.search(name)), "")
    why: list[str] = []
    evidence: list[Evidence] = [fact("variations", augmentation)]
    if case.profile is not None and case.profile.views == "xray":
        why.append("In these pictures left and right are not the same")
        evidence.append(fact("all pictures, against their mirror images", "they differ by more than chance"))
    if facts.medical:
        why.append("These are pictures of patients")
        evidence.append(fact("pictures of patients", facts.n_train + facts.n_watched + facts.n_heldout))
    if named:
        why.append(f"By their names (“{named}”) these are X-rays")
        evidence.append(fact("a name that speaks of X-rays", f"“{named}”"))
    if not why:
        return None
    words = f"{why[0]}, and “{augmentation}” mirrors pictures."
    sure = len(why) > 1 or (case.profile is not None and case.profile.views == "xray") or (facts.medical and augmentation == "photo")
    fix = change("Use the variations for X-rays: they never mirror.", augmentation="xray")
    return Found(0.6 if sure else 0.45, words, evidence, (fix,), severity="warning" if sure else "info")
