"""It is not certain which column is the question and which the answer.

What it looks like: the preview shows the wrong words as learned, or many rows are left out because of who speaks in them.

Why: the columns have names that say little, or turns are by speakers other than a user and an assistant.

What to do: look at the preview and choose the columns. Speakers are understood when they are called user and assistant (or human and gpt).
"""

from advisor.diagnosis.case import Case
from advisor.diagnosis.findings import Evidence, Fix, Found
from advisor.rules import Rule
from advisor.rules._examples import code, last_words

CODES = frozenset(("no_such_column", "roles_incomplete"))
MANY = 0.1  # of the rows; Soup blocks from here on


def check(case: Case) -> Found | None:
    """The plan names columns that are not there, or the reader guessed, or lost a tenth of the rows to speakers it does not know."""
    if code(case) in CODES and not case.ran:
        said = tuple(Evidence(what=f"column for “{role}”", value=column) for role, column in case.text.roles.items())
        fix = Fix(words="Look at the preview and choose the columns.", data="fix_columns")
        words = "The columns that the plan names are not those of the file."
        return Found(confidence=0.95, words=words, evidence=(*said, last_words(case)), fixes=(fix,), severity="error")
    profile = case.profile
    if profile is None:
        return None
    strange = [lost for lost in profile.left_out if lost.reason.startswith("Turn") and " is by " in lost.reason]
    if profile.certain and len(strange) < MANY * max(1, profile.n_read):
        return None
    chosen = ", ".join(f"{role}: {column}" for role, column in profile.roles.items())
    evidence = (
        Evidence(what="columns as understood", value=chosen),
        Evidence(what="rows left out because of who speaks", value=len(strange), rows=tuple(lost.row for lost in strange[:20])),
    )
    if strange:
        words = f"In {len(strange):,} of {profile.n_read:,} rows someone speaks who is neither user nor assistant; they are left out."
    else:
        words = f"The columns were guessed ({chosen})."
    fix = Fix(words="Look at the preview and choose the columns.", data="fix_columns", rows=len(strange) or profile.n_kept)
    return Found(confidence=0.5 if not strange else 0.8, words=words, evidence=evidence, fixes=(fix,))


RULE = Rule("R65", "data", "It is not certain which column is the question and which the answer", "warning", "propose", check, before=True)
