"""The ends of many answers are cut off.

What it looks like: answers after training run on without an end, or stop in the middle of a sentence, mostly the long ones.

Why: examples longer than the longest length of the plan lose their end, and with it the mark that says “here the answer is over”. From such
examples the model learns that answers just go on.

What to do: allow longer examples where there is memory for it, split long texts into passages, or leave the longest out.
"""

from advisor.rules import Case, Fix, Found, advice, fact, rule
from advisor.rules._examples import seen, share, some
from loralab.core.words import count

MIN_SHARE, ALARM_SHARE = 0.05, 0.2  # of the examples; Soup calls a fifth major
ODD_RATIO = 2  # times the length of nearly all: from there on the longest are odd ones
STEP_TOKENS = 64  # tokens that lengths are rounded up to


def _wanted(case: Case) -> int:
    """The length that spares nearly all; most where a few are far longer than the rest; twice the plan's where lengths are not known."""
    whole = case.profile.tokens if case.profile else {}
    few, most = whole.get("p99", 0), whole.get("p95", 0)
    known = few if few <= ODD_RATIO * most else most
    return -(-known // STEP_TOKENS) * STEP_TOKENS if known > case.text.max_length else 2 * case.text.max_length


@rule("R53", "template", "warning", "propose", before=True)
def check(case: Case) -> Found | None:
    """How many examples lose their end at the plan's longest length."""
    facts = case.facts
    if facts is None or share(facts, "cut") < MIN_SHARE:
        return None
    part = share(facts, "cut")
    room = facts.context or case.text.max_length
    longer = min(room, _wanted(case))
    fixes = [
        advice("Leave out the examples that are too long.", "drop_too_long", facts.cut),
        advice("Split texts that are too long into passages.", "split_long", facts.cut),
    ]
    if longer > case.text.max_length:
        fixes.insert(0, Fix(words=f"Allow examples of {count(longer, 'token')}.", settings={"max_length": longer}, rows=facts.cut))
    evidence = (
        seen(facts, "cut", "examples cut at the end"),
        fact("longest length", case.text.max_length, "tokens"),
        fact("longest text the model can read", facts.context, "tokens"),
    )
    words = f"{some(facts.cut, facts)} longer than {count(case.text.max_length, 'token')} ({part:.0%})."
    words += " With plain text, only some words are lost." if facts.plain else " What is cut off includes the end of the answer."
    loud = part >= ALARM_SHARE and not facts.plain
    return Found(0.6 + 0.35 * part if loud else 0.6, words, evidence, fixes, severity="warning" if loud else "info")
