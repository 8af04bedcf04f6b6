"""The model learns to write the questions, too.

What it looks like: the loss falls, mostly on the questions, and the answers hardly change. “Learn from” says everything although the
examples are conversations.

Why: where questions are longer than answers, most of each correction goes into foreseeing questions, which nobody will ask the model to
write.

What to do: learn from the replies only.
"""

from advisor.rules import Case, Found, change, fact, rule
from advisor.rules._reading import ended_well, improved

MINOR_SHARE = 0.4  # of the letters: with fewer in the answers most of what is learned is how to ask


@rule("R43", "no learning", "info", "propose", before=True, during=False)
def check(case: Case) -> Found | None:
    """Everything in conversations is learned from; an alarm where most of that is questions, or a run that ended did not get better."""
    facts = case.facts
    if case.text.learn_from != "everything" or facts is None or facts.plain or (case.view is not None and not ended_well(case)):
        return None
    failed = case.view is not None and not improved(case)
    mostly = facts.answer_share < MINOR_SHARE
    evidence = (
        fact("share of the letters that are answers", facts.answer_share),
        fact("tokens learned from", facts.tokens.get("learned", 0)),
        fact("tokens in all", facts.tokens.get("total", 0)),
    )
    words = "The questions are learned, too" + ("; the answers did not get better." if failed else ", not only the answers.")
    words += f" Only {facts.answer_share:.0%} of what is learned is answers." if mostly else ""
    fix = change("Learn from the replies only.", learn_from="replies")
    severity = "warning" if failed or mostly else None
    return Found(0.75 if mostly else 0.6, words, evidence, (fix,), severity=severity)
