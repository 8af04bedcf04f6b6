"""The workspace cannot be written to.

What it looks like: the run ends with words about a folder or file that may not be written, or that the disk gave an error.

Why: the folder belongs to another user, is on a read-only or network drive that went away, or a program (a virus scanner, a cloud drive)
holds a file. A disk that is breaking down says the same.

What to do: choose another workspace folder, or change the folder's rights; then start again.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules._examples import code, last_words

CODES = ("no_permission", "disk_error")


@rule("R92", "environment", "error", "inform", tasks=None)
def check(case: Case) -> Found | None:
    """A write was refused, for another reason than want of room."""
    told = case.signals.incidents(*CODES)
    ended = code(case) in CODES
    if not told and not ended:
        return None
    evidence = tuple(fact("what the run found", step=one.step, line=one.text) for one in told[:3])
    words = "A folder of the workspace could not be written to." + ("" if ended else " The run went on without some of its safety copies.")
    fix = advice("Choose another workspace folder, or change the folder's rights.")
    return Found(
        0.95 if ended else 0.8,
        words,
        (*evidence, *((last_words(case),) if ended else ())),
        (fix,),
        severity="error" if ended else "warning",
    )
