"""What rules about examples share: how many a fault concerns, which rows, and how that is said.

Invariant: a share is of the examples that are learned from; without facts there is nothing to say.
"""

from __future__ import annotations

from advisor.diagnosis.case import Case
from advisor.diagnosis.findings import Evidence, fact
from loralab.core.facts import Facts
from loralab.core.words import count, plural

SMALL_CONFIDENCE = 0.3  # confidence that a fault of hardly any examples bears on what came of a run; half its share is added to it


def rows(facts: Facts, name: str) -> tuple[int, ...]:
    """The first rows behind a count of the facts."""
    return facts.rows.get(name, ())


def share(facts: Facts, name: str) -> float:
    """Share of the training examples that a count of the facts concerns, at most 1."""
    return min(1.0, getattr(facts, name) / max(1, facts.n_train))


def seen(facts: Facts, name: str, what: str) -> Evidence:
    """The count with its rows as evidence."""
    return fact(what, int(getattr(facts, name)), rows=rows(facts, name))


def examples(number: int) -> str:
    """“1 example”, “1,200 examples”."""
    return count(number, "example")


def some(number: int, facts: Facts, one: str = "is", many: str = "are") -> str:
    """“1 example of 40 is”, “3 examples of 40 are”: with the verb that belongs to the number."""
    return f"{examples(number)} of {facts.n_train:,} {plural(number, one, many)}"


def code(case: Case) -> str:
    """Code of a run's ending; empty before and while it runs, and where it ended well."""
    return case.signals.code if case.view else ""


def last_words(case: Case) -> Evidence:
    """What a run said at its end, as evidence."""
    ending = case.view.ending if case.view else None
    return fact("its last words", line=ending.what if ending else "")
