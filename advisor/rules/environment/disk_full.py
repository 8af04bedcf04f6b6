"""The disk is full.

What it looks like: the run waits, or a safety copy could not be written, or the run ended with these words. Nothing that was saved before
is lost.

Why: models, safety copies and exports take room, and so does everything else on the computer.

What to do: free some space, then resume. “Make room” on the Plan page removes downloaded models that are not used any more.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules._examples import code, last_words


def _went_on(case: Case) -> bool:
    """Whether an update was made after the disk was last found full."""
    told = case.signals.incidents("disk_full")
    moments = [step.time for step in case.view.steps] if case.view else []
    return bool(told and moments) and moments[-1] > told[-1].time


@rule("R91", "environment", "error", "inform", tasks=None)
def check(case: Case) -> Found | None:
    """The run said that there was no room, while running or at its end."""
    told = case.signals.incidents("disk_full")
    ended = code(case) in ("disk_full", "copy_not_written")
    if not told and not ended:
        return None
    evidence = tuple(fact("what the run found", step=one.step, line=one.text) for one in told[:3])
    free = (fact("free on the disk now", case.machine.disk_free // 10**6, "MB"),) if case.machine else ()
    over = case.view is not None and not case.view.active
    gone = not ended and (over or _went_on(case))
    words = "The disk was full." + (" The run went on once there was room again." if gone else "")
    fix = advice("Free some space before the next run." if gone else "Free some space, then resume the run.")
    return Found(
        0.97 if ended else 0.9,
        words,
        (*evidence, *((last_words(case),) if ended else ()), *free),
        (fix,),
        severity="info" if gone else "error",
    )
