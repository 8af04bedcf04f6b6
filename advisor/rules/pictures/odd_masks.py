"""The masks mark nearly nothing, or nearly everything.

What it looks like: whatever is shown, nothing is marked, or all of it.

Why: where most masks are empty, marking nothing is mostly right, and that is what is learned. It also happens when masks are read the
wrong way round, or when the files that mark the things are not the ones that were taken for masks.

What to do: look at some masks on the Data page. Leave out pictures that show nothing of what is looked for, but for about as many as show
it.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules.pictures._reading import percent
from loralab.core.words import count, plural

MOST = 0.5  # of the pictures
HARDLY = 0.002  # of a picture: less is marked in the middle one


@rule("R210", "data", "warning", "propose", before=True, tasks=frozenset({"segment"}))
def check(case: Case) -> Found | None:
    """Masks that mark nothing or everything in most pictures, or hardly anything in a usual one."""
    facts = case.facts
    if facts is None or not facts.n_train or not facts.of_class:
        return None
    n, fix = facts.n_train, advice("Look at some masks: are they the right files, and the right way round?", "review")
    evidence = [fact("pictures to learn from", n)]
    if facts.blank > MOST * n:
        evidence.insert(0, fact("masks that mark nothing", facts.blank, rows=facts.rows.get("blank", ())))
        words = f"The masks of {facts.blank:,} of {count(n, 'picture')} mark nothing."
        more = advice("Leave out most of the pictures that show nothing of what is looked for.")
        return Found(0.65, words, evidence, (fix, more))
    if facts.filled > MOST * n:
        evidence.insert(0, fact("masks that mark nearly everything", facts.filled, rows=facts.rows.get("filled", ())))
        words = f"{facts.filled:,} of {count(n, 'picture')} {plural(facts.filled, 'is', 'are')} marked nearly everywhere."
        return Found(0.65, words, evidence, (fix,))
    if facts.marked_share >= HARDLY:
        return None
    evidence.append(
        fact("share of the middle picture that is marked", percent(facts.marked_share) if facts.marked_share >= 0.005 else "less than 1 %")
    )
    words = "In a usual picture less than 1 % is marked. So little is easily missed."
    return Found(0.45, words, evidence, (advice("Cut the pictures into pieces around what is marked."), fix), severity="info")
