"""Some pictures are most likely in the wrong class.

What it looks like: a model that is mostly right puts a picture into another class than its folder does, and so did the quick look.

Why: files slip into a neighbouring folder, and people who sort thousands of pictures tire. A handful of wrong ones costs little while
learning; among the held-out pictures each makes the result look worse than it is.

What to do: look at those named. Where the model is right, move the picture; where it is wrong, they are its hardest pictures, and more
like them help most.
"""

from collections.abc import Mapping
from typing import Any

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules.pictures._reading import main, percent, rows
from loralab.core.words import count, plural

TRUSTED = 0.8  # of the main measure: a model that is wrong more often is no judge of others
UNLIKELY = 0.1  # probability of the picture's own class, at most; it is calibrated on the watched pictures
MANY, FEW = 0.03, 3  # of the held-out pictures, and as a number: from there on it is worth an alarm
SHOWN = 5


def suspect(row: Mapping[str, Any]) -> bool:
    """Whether model and quick look agree that it is another class, and its own is out of the question."""
    agreed = row.get("probe", row["after"]) == row["after"] and row.get("knows", True)
    return row["after"] != row["label"] and float(row.get("of_label", 1.0)) <= UNLIKELY and agreed


@rule("R215", "data", "warning", "propose", during=False, tasks=frozenset({"classify"}))
def check(case: Case) -> Found | None:
    """Held-out pictures that are sorted into another class than theirs and hardly into their own, by a model that is mostly right."""
    score, said = main(case), rows(case)
    if score is None or score.after < TRUSTED:
        return None
    found = sorted((row for row in said if suspect(row)), key=lambda row: float(row["of_label"]))
    if not found:
        return None
    n = len(found)
    evidence = [fact("held-out pictures that are hardly of their own class", n, rows=tuple(int(row["row"]) for row in found))]
    evidence += [
        fact(f"{row['media']}: its folder says “{row['label']}”, it sees “{row['after']}”", percent(float(row["confidence"])))
        for row in found[:SHOWN]
    ]
    evidence.append(fact("held-out pictures", len(said)))
    seems = plural(n, "seems to be in the wrong class", "seem to be in the wrong class")
    words = f"{n:,} of {count(len(said), 'held-out picture')} {seems}: it and the quick look agree on another one."
    alarm = n >= max(FEW, MANY * len(said))
    fix = advice("Look at the pictures named, and move those that are in the wrong class.", "review", n)
    return Found(0.6 if alarm else 0.4, words, evidence, (fix,), severity="warning" if alarm else "info")
