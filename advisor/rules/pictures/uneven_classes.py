"""One class has many times the pictures of another, and all pictures count alike.

What it looks like: nearly everything is said to be the common class, and the rare one is hardly ever found, although most answers are
right.

Why: whoever always names the common class is mostly right, and that is what is learned first. A rare class gains nothing by being seen
seldom.

What to do: let rare kinds count for as much as common ones, which is the usual setting. More pictures of the rare class help most.
"""

from advisor.rules import Case, Found, advice, change, fact, rule
from loralab.core.words import count, times

UNEVEN, VERY = 4.0, 10.0  # times as many


@rule("R202", "data", "warning", "propose", before=True, tasks=frozenset({"classify"}))
def check(case: Case) -> Found | None:
    """The commonest class against the rarest, where nothing makes up for it."""
    facts = case.facts
    if facts is None or len(facts.of_class) < 2 or case.pictures.class_weights != "none":
        return None
    rare, common = min(facts.of_class, key=facts.of_class.__getitem__), max(facts.of_class, key=facts.of_class.__getitem__)
    few, many = facts.of_class[rare], facts.of_class[common]
    ratio = float(f"{many / max(1, few):.2g}")
    if ratio < UNEVEN:
        return None
    evidence = (
        fact(f"pictures of “{common}” to learn from", many),
        fact(f"pictures of “{rare}” to learn from", few),
        fact("times as many", ratio),
    )
    words = f"“{common}” has {count(many, 'picture')} and “{rare}” {few:,}: {times(ratio)} as many, and all of them count alike."
    fixes = (
        change("Let rare kinds count for as much as common ones.", class_weights="balanced"),
        advice(f"Add pictures of “{rare}”.", "add"),
    )
    return Found(0.8 if ratio >= VERY else 0.65, words, evidence, fixes)
