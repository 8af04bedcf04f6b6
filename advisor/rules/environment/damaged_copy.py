"""A safety copy was damaged.

What it looks like: a resumed run goes on from further back than it had come, and says that it put a copy aside.

Why: a power cut while a disk was writing, a disk that is breaking down, or a cloud drive that half-synchronised the file. Every copy
carries a seal, so that a damaged one is noticed and never used.

What to do: nothing: the run goes on from the copy before. Where it happens again, have the disk checked, and keep the workspace out of
folders that are synchronised.
"""

from advisor.rules import Case, Found, advice, fact, rule


@rule("R97", "environment", "info", "inform", tasks=None)
def check(case: Case) -> Found | None:
    """The run put a copy aside that was not what had been written."""
    told = case.signals.incidents("damaged_copy")
    if not told:
        return None
    evidence = tuple(fact("what the run found", step=one.step, line=one.text) for one in told[:3])
    words = f"A safety copy could not be read; the run went on from update {told[-1].step:,}."
    fix = advice("Keep the workspace out of synchronised folders, and have the disk checked if it happens again.")
    return Found(0.95, words, evidence, (fix,), severity="warning" if len(told) > 1 else "info")
