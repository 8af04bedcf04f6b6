"""Owns what a guess about columns could be instead, each with the first examples it would give. Invariant: the guess itself comes first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from loralab.core.records import Choice, Example
from loralab.datasets.account import says_something
from loralab.datasets.examples import convert
from loralab.datasets.readers import Table
from loralab.datasets.tables.columns import NAMES_A_PERSON

SHOWN, MOST = 2, 3  # examples of each choice, and choices
_NAMES = 12  # of those who speak most, that are tried: a chat may have thousands of people
_LOOKED = 200  # rows


def choices(table: Table, guess: Mapping[str, str], speakers: Sequence[str] = ()) -> tuple[Choice, ...]:
    """The guess and its likeliest alternatives, each with its first two examples; those that give none are left out.

    `speakers`: where it is asked who of those who speak the model is to be.
    """
    head = replace(table, rows=table.rows[:_LOOKED], left_out=[])
    found: list[Choice] = []
    others = [{**guess, NAMES_A_PERSON: name} for name in speakers[:_NAMES]] if speakers else _alternatives(head, guess)
    for roles in (dict(guess), *others):
        shown = tuple(islice((unit for unit in convert(head, roles) if isinstance(unit, Example)), SHOWN))
        if shown and all(roles != other.roles for other in found):
            found.append(Choice(roles=roles, examples=shown))
        if len(found) == MOST:
            break
    return tuple(found)


def _alternatives(table: Table, guess: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The other way round; other columns of words in place of one that was chosen; only one of them, as running text."""
    spoken = [column for column in table.columns if says_something(column, [row.values.get(column) for row in table.rows])]
    spare = [column for column in spoken if column not in guess.values()]
    asked, answered = guess.get("prompt") or guess.get("text", ""), guess.get("answer") or guess.get("label", "")
    if asked and answered:
        yield {"prompt": answered, "answer": asked}
        if "label" in guess:
            yield {"text": asked}
        for column in spare:
            yield {"prompt": asked, "answer": column}
            yield {"prompt": column, "answer": answered}
        yield {"text": answered}
    elif asked:
        for column in spare:
            yield {"prompt": asked, "answer": column}
            yield {"prompt": column, "answer": asked}
            yield {"text": column}
