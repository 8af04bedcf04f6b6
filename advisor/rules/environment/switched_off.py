"""Something ended the training: maybe you, maybe the system.

What it looks like: the run stops in the middle without a word of its own.

Why: a power cut, a restart for updates, an empty battery, logging out, or somebody ended it in a task manager. Nothing shows that memory
was full, so nothing is concluded from it about the settings.

What to do: nothing where it went on by itself. Otherwise resume it; it goes on from its last safety copy. If this happens often, have
safety copies written more often, and on a laptop set a battery level at which it waits.
"""

from advisor.rules import Case, Found, advice, change, fact, rule
from advisor.rules._examples import code, last_words
from loralab.core.words import count, times


@rule("R94", "environment", "warning", "inform", tasks=None)
def check(case: Case) -> Found | None:
    """The worker, or who watched over it, was gone; a death for want of memory is told apart from it by those who saw it."""
    if case.view is None:
        return None
    killed, ended = case.signals.incidents("killed"), code(case) in ("worker_gone", "keeper_gone")
    if not killed and not ended:
        return None
    if not ended:
        evidence = tuple(fact("what the run noted", step=one.step, line=one.text) for one in killed)
        words = f"Something ended it {times(len(killed))} (maybe you, maybe the system), and it went on by itself."
        return Found(0.9, words, evidence, severity="info")
    saved = max((a.step for a in case.view.artifacts if a.kind == "checkpoint"), default=0)
    evidence = (last_words(case), fact("updates made", case.view.step), fact("update of the last safety copy", saved))
    words = f"It ended from outside at update {case.view.step:,}; " + (
        f"the last safety copy is from update {saved:,}." if saved else "there was no safety copy yet."
    )
    minutes = max(0.5, round(case.plan.checkpoint_minutes / 2, 1))
    fixes = (advice("Resume it."), change(f"Write a safety copy every {count(minutes, 'minute')}.", checkpoint_minutes=minutes))
    sure = code(case) == "keeper_gone" or "computer was switched off" in last_words(case).line
    return Found(0.9 if sure else 0.75, words, evidence, fixes)
