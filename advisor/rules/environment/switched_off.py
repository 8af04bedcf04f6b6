"""The computer was switched off, or the program was ended from outside.

What it looks like: the run stops in the middle without last words of its own.

Why: a power cut, a restart for updates, an empty battery, logging out, or somebody ended the process in a task manager.

What to do: resume it; it goes on from its last safety copy. Where this happens often, let safety copies be written more often, and on a
notebook set a battery level at which it waits.
"""

from advisor.rules import Case, Found, advice, change, fact, rule
from advisor.rules._examples import code, last_words


@rule("R94", "environment", "warning", "inform", tasks=None)
def check(case: Case) -> Found | None:
    """The worker, or who watched over it, was gone; an exit for want of memory is told apart from it by those who saw it end."""
    if code(case) not in ("worker_gone", "keeper_gone") or case.view is None:
        return None
    saved = max((a.step for a in case.view.artifacts if a.kind == "checkpoint"), default=0)
    evidence = (last_words(case), fact("updates made", case.view.step), fact("update of the last safety copy", saved))
    words = f"It ended from outside at update {case.view.step:,}; the last safety copy is from update {saved:,}."
    minutes = max(0.5, round(case.plan.checkpoint_minutes / 2, 1))
    fixes = (advice("Resume it."), change(f"Write a safety copy every {minutes:g} minutes.", checkpoint_minutes=minutes))
    sure = code(case) == "keeper_gone" or "computer was switched off" in last_words(case).line
    return Found(0.9 if sure else 0.75, words, evidence, fixes)
