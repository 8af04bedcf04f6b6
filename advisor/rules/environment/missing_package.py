"""A part that this plan needs is not installed, or the installation is damaged.

What it looks like: the run ends before its first update and names what is missing, or the process ends before it can say anything.

Why: some settings need an optional part (weights in 4 or 8 bits, thrifty optimisers: “4-bit training”). An update that was broken off, or a
virus scanner, may also have taken a piece of the installation.

What to do: add the part under “About this computer”, or choose a setting that does without. A damaged installation is repaired when LoRALab
is closed and started again.
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
        without = {"precision": "bf16"} if case.plan.precision in ("nf4", "fp4", "int8") else {}
        without |= {"optimizer": "adamw"} if case.text.optimizer.endswith("bit") else {}
        fixes = (
            change("Do without it: keep numbers in half precision, or use the usual optimiser.", **without),
            advice("Add the part “4-bit training” under “About this computer”: one click."),
        )
        return Found(0.97, "This plan needs the part “4-bit training”, which is not installed here.", evidence, fixes)
    fixes = (advice("Close LoRALab and start it again: it repairs its installation."),)
    words = "A part of the installation is missing." if absent else "The process ended before it could say anything."
    return Found(0.9 if absent else 0.7, words, evidence, fixes)
