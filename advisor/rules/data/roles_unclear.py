"""It is not certain which column is the question and which the answer.

What it looks like: the preview shows the wrong words as learned, or many rows are left out because of who speaks in them.

Why: the columns have names that say little, or turns are by speakers other than a user and an assistant.

What to do: look at the preview and choose the columns. Speakers are understood when they are called user and assistant (or human and gpt).
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules._examples import code, last_words
from loralab.core.words import count, plural

CODES = frozenset(("no_such_column", "roles_incomplete"))
ALARM_SHARE = 0.1  # of the rows; Soup blocks from here on


@rule("R65", "data", "warning", "propose", before=True)
def check(case: Case) -> Found | None:
    """The plan names columns that are not there, or the reader guessed, or lost a tenth of the rows to speakers it does not know."""
    if code(case) in CODES and not case.ran:
        said = tuple(fact(f"column for “{role}”", column) for role, column in case.text.roles.items())
        fix = advice("Look at the preview and choose the columns.", "fix_columns")
        words = "The plan names columns that this file does not have."
        return Found(0.95, words, (*said, last_words(case)), (fix,), severity="error")
    profile = case.profile
    if profile is None:
        return None
    strange = [lost for lost in profile.left_out if lost.reason.startswith("Turn") and " is by " in lost.reason]
    if profile.certain and len(strange) < ALARM_SHARE * max(1, profile.n_read):
        return None
    chosen = ", ".join(f"{role}: {column}" for role, column in profile.roles.items())
    evidence = (
        fact("columns as understood", chosen),
        fact("rows left out because of who speaks", len(strange), rows=tuple(lost.row for lost in strange[:20])),
    )
    if strange:
        left = plural(len(strange), "it is", "they are")
        words = f"In {len(strange):,} of {count(profile.n_read, 'row')} someone speaks who is neither user nor assistant; {left} left out."
    else:
        words = f"The columns are a guess ({chosen})."
    fix = advice("Look at the preview and choose the columns.", "fix_columns", len(strange) or profile.n_kept)
    return Found(0.5 if not strange else 0.8, words, evidence, (fix,))
