"""One answer for nearly everything: a model that always gives it looks right most of the time and has learned nothing."""

from __future__ import annotations

from collections import Counter

from loralab.core.errors import Problem
from loralab.datasets.checks import Case, answer

MOST = 0.8
RARE = 5


def check(case: Case) -> list[Problem]:
    """Error for a single class; warning when a class or an answer covers 80 % (50 % of free answers), or classes are nearly empty."""
    labels = Counter(example.label for example in case.examples if example.label is not None)
    if labels:
        return _classes(labels)
    answers = Counter(answer(example) for example in case.examples if example.messages)
    if len(case.examples) >= 10 and answers:
        text, count = answers.most_common(1)[0]
        if count >= 0.5 * len(case.examples):
            what = f"{count:,} of {len(case.examples):,} answers are the same: “{text[:60]}”."
            return [Problem(code="same_answer", what=what, todo="Add examples with other answers.", severity="warning")]
    return []


def _classes(labels: Counter[str]) -> list[Problem]:
    label, count = labels.most_common(1)[0]
    total = labels.total()
    if len(labels) == 1:
        return [Problem(code="one_class", what=f"Every text has the same class, “{label}”.", todo="Add texts of other classes.")]
    found: list[Problem] = []
    if count >= MOST * total:
        what = f"“{label}” is the class of {count:,} of {total:,} texts; always answering it would look right."
        found.append(Problem(code="one_class_dominates", what=what, todo="Add texts of the other classes.", severity="warning"))
    rare = [name for name, number in labels.items() if number < RARE]
    if rare:
        what = f"{len(rare)} of {len(labels)} classes have fewer than {RARE} texts, for instance “{rare[0]}”."
        todo = "Add texts of these classes or join them with others."
        found.append(Problem(code="rare_classes", what=what, todo=todo, severity="warning"))
    return found


CHECK = check
