"""Letters of the examples are garbled.

What it looks like: “cafÃ©” in place of “café”, or the sign “�”, in the file and, after training, in the answers.

Why: the file was once opened or saved in the wrong encoding, mostly by a spreadsheet program.

What to do: export the file again as UTF-8 from its source, or leave these rows out.
"""

from advisor.rules import Case, Found, advice, rule
from advisor.rules._examples import seen, share, some

ALARM_SHARE = 0.05


@rule("R88", "data", "warning", "propose", before=True)
def check(case: Case) -> Found | None:
    """Examples with garbled or lost letters."""
    facts = case.facts
    if facts is None or not facts.garbled:
        return None
    part = share(facts, "garbled")
    words = f"{some(facts.garbled, facts, 'contains', 'contain')} garbled letters."
    fixes = (
        advice("Export the file again as UTF-8 from its source.", rows=facts.garbled),
        advice("Leave these examples out.", "drop_garbled", facts.garbled),
    )
    return Found(
        min(0.95, 0.7 + part),
        words,
        (seen(facts, "garbled", "examples with garbled letters"),),
        fixes,
        severity="warning" if part >= ALARM_SHARE else "info",
    )
