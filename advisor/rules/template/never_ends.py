"""Its answers do not end by themselves.

What it looks like: after training, answers run on until they are cut off, though every example it learned from has an end.

Why: it was shown too little of where answers end: too few updates, or very long answers with a single end each. (Where the examples have no
end at all, another finding says so.)

What to do: more rounds, or more and shorter answers. In the chat you can set a shorter limit meanwhile.
"""

from advisor.rules import Case, Found, change, fact, rule
from advisor.rules._examples import share

SELDOM_SHARE = 0.5


@rule("R50", "template", "warning", "propose")
def check(case: Case) -> Found | None:
    """The verdict's share of ended answers got worse and is low, while the examples do have ends."""
    score = case.signals.score("ends_turn")
    if score is None or score.after >= SELDOM_SHARE or score.verdict != "worse":
        return None
    if case.facts is not None and share(case.facts, "unended") > SELDOM_SHARE:
        return None  # then the cause is known: see end_not_learned and end_cut_off
    evidence = (fact("answers that ended by themselves, before training", score.before), fact("the same after training", score.after))
    words = f"{score.after:.0%} of its answers ended by themselves; before training it was {score.before:.0%}."
    fix = change("Train about twice as long.", **case.course.longer())
    return Found(0.55, words, evidence, (fix,))
