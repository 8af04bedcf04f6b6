"""A package that this plan needs is not installed, or the installation is damaged.

What it looks like: the run ends before its first update, with the name of a package, or the process ends before it can say anything.

Why: some settings need an optional package (4-bit weights and the 8-bit optimiser need bitsandbytes). An update that was broken off, or a
virus scanner, may also have taken a part of the installation.

What to do: install the package or choose a setting that does without. For a damaged installation: `python -m loralab doctor` checks it, and
starting launch.py again repairs it.
"""

import re

from advisor.rules import Case, Found, advice, change, fact, rule
from advisor.rules._examples import code, last_words

_ABSENT = re.compile(r"(?:ModuleNotFoundError|ImportError): .{1,160}")


@rule("R96", "environment", "error", "propose")
def check(case: Case) -> Found | None:
    """A code that names a package, an import that failed, or a process that never spoke."""
    ended = code(case)
    failed = case.view is not None and case.view.state in ("failed", "killed")
    absent = _ABSENT.findall(case.log) if failed and not case.ran else []
    if not (ended in ("no_bitsandbytes", "dead_at_start") or (absent and ended in ("unexpected", "crashed"))):
        return None
    evidence = (last_words(case), *((fact("the end of its log", line=absent[-1]),) if absent else ()))
    if ended == "no_bitsandbytes":
        without = {"precision": "bf16"} if case.plan.precision == "nf4" else {}
        without |= {"optimizer": "adamw"} if case.text.optimizer == "adamw_8bit" else {}
        fixes = (
            change("Do without it: " + " and ".join(f"{name} {value}" for name, value in without.items()) + ".", **without),
            advice("Run: pip install bitsandbytes."),
        )
        return Found(0.97, "This plan needs the package bitsandbytes.", evidence, fixes)
    fixes = (advice("Start launch.py again: it repairs the installation."), advice("Run: python -m loralab doctor."))
    words = "A part of the installation is missing." if absent else "The process ended before it could say anything."
    return Found(0.9 if absent else 0.7, words, evidence, fixes)
