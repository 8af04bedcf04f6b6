"""The adapter changes nothing.

What it looks like: the training ran and its loss moved, and in the verdict every measure is exactly the same with and without the adapter.

Why: the adapter that was tested is not the one that learned: it was not switched on, or was loaded onto parts of other names.

What to do: test the run again. If it stays the same, train again with all linear parts.
"""

from advisor.rules import Case, Found, advice, change, fact, rule
from advisor.rules._reading import share_gained, timid

ROUNDING_NATS = 1e-6  # nats: less than rounding
MOVED_SHARE = 0.02  # of the start: the training itself changed something


@rule("R40", "no learning", "error", "propose", during=False)
def check(case: Case) -> Found | None:
    """The verdict's loss is the same to rounding though the training moved it, or the answers were written without the adapter."""
    score = case.signals.score("loss")
    samples = case.view.samples if case.view else ()
    asleep = [one for one in samples if not one.after_active]
    same = score is not None and abs(score.difference) < ROUNDING_NATS and share_gained(case) > MOVED_SHARE
    if not same and not (samples and len(asleep) == len(samples)):
        return None
    if timid(case):
        return None
    evidence = [fact("held-out loss at best", case.signals.best, step=case.signals.best_step)]
    if score is not None:
        evidence.append(fact("loss in the verdict without the adapter", score.before))
        evidence.append(fact("loss in the verdict with it", score.after))
    evidence += [fact("answers written without the adapter switched on", len(asleep))] if asleep else []
    fixes = (advice("Test it again."), change("Train with all linear parts.", targets="all-linear"))
    words = "The training moved the loss, and in the test the adapter makes no difference at all."
    return Found(0.9, words, evidence, fixes)
