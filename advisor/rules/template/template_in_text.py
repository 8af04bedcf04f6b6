"""The examples already contain the marks of a chat template.

What it looks like: answers after training begin or end with marks such as <|im_start|>, [INST] or “### Response:”.

Why: the file was prepared for another model, with that model's marks written into the text. Here the marks of your model are put around
them once more, and the old ones are learned as if they were words.

What to do: remove them. If a whole conversation is in one column, split it into question and answer.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules._examples import seen, share, some

MIN_SHARE, ALARM_SHARE = 0.02, 0.1  # one question about marks is no fault


@rule("R81", "template", "warning", "propose", before=True)
def check(case: Case) -> Found | None:
    """A good part of the examples hold marks in their own words."""
    facts = case.facts
    if facts is None or facts.marked < 2 or share(facts, "marked") < MIN_SHARE:
        return None
    part = share(facts, "marked")
    leaks = case.signals.score("leaks")
    worse = leaks is not None and leaks.verdict == "worse"
    evidence = (
        seen(facts, "marked", "examples with marks of a template"),
        *((fact("answers with such marks after training", leaks.after),) if leaks and worse else ()),
    )
    words = f"{some(facts.marked, facts, 'contains', 'contain')} the marks of a chat template."
    fix = advice("Remove the marks from the examples.", "strip_marks", facts.marked)
    loud = part >= ALARM_SHARE or worse
    return Found(0.6 + 0.35 * part, words, evidence, (fix,), severity="warning" if loud else "info")
