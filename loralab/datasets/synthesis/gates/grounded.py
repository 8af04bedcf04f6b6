"""Numbers and names of an answer must stand in its passage, and most of its words: an answer to another text, or an invented one, does
not.
"""

from __future__ import annotations

import re

from loralab.datasets.synthesis.gates import Gate, Yard, passage_of, per_row
from loralab.datasets.synthesis.rows import MadeRow
from loralab.datasets.synthesis.search.space import words

_NUMBER = re.compile(r"(?<![\w.,])\d+(?:[.,]\d+)*(?![\w])")
_NAME = re.compile(r"(?<![.!?:]\s)(?<!^)(?<![\n“\"‘(-]\s)(?<![\n“\"‘(*-])\b[A-Z][\w’'-]*[a-z][\w’'-]*")
_ITEM = re.compile(r"^\d{1,3}\. ", re.MULTILINE)  # the number of an item in a list is no number that is told
_WORD = re.compile(r"[^\W_]+")
STAND = 0.6  # of the words of an answer
FEWEST = 3  # words, under which only names and numbers are asked about


def names_and_numbers(text: str) -> set[str]:
    """Numbers without their separators, and words that begin with a capital inside a sentence."""
    text = _ITEM.sub("", text)
    numbers = {found.replace(",", "").rstrip(".") for found in _NUMBER.findall(text)}
    return numbers | {name.casefold().removesuffix("’s").removesuffix("'s") for name in _NAME.findall(text)}


def same_things(one: MadeRow, other: MadeRow) -> bool:
    """Whether two rows speak of the same things: each number and name of either, and each telling word of its question, stands in the
    other, wherever and however it is written.
    """
    texts = [f"{row.question} {row.answer}" for row in (one, other)]
    said = [set(_WORD.findall(text.casefold().replace(",", ""))) for text in texts]
    named = [{part for name in names_and_numbers(text) for part in _WORD.findall(name)} for text in texts]
    asked = [set(words(row.question)) for row in (one, other)]
    there = [set(words(text)) for text in texts]
    return named[0] <= said[1] and named[1] <= said[0] and asked[0] <= there[1] and asked[1] <= there[0]


def why(row: MadeRow, yard: Yard) -> str:
    """The reason, or ""."""
    passage = passage_of(row, yard)
    if not passage or row.kind == "language":
        return ""
    known = f"{passage}\n{row.evidence if row.origin == 'extracted' else ''}"
    folded = known.casefold().replace(",", "")
    for found in sorted(names_and_numbers(row.answer)):
        if not re.search(rf"(?<!\w){re.escape(found)}(?!\d)", folded) and found not in row.question.casefold().replace(",", ""):
            return f"“{found}” stands neither in its passage nor in the question."
    said, there = set(words(row.answer)), set(words(known)) | set(words(row.question))
    if len(said) >= FEWEST and len(said & there) < STAND * len(said):
        return "Most words of the answer do not stand in its passage."
    asked = set(words(row.question)) - {"gap", "fill", "know", "step", "belong"}
    if row.origin == "synthetic" and asked and not asked & set(words(known)):
        return "No word of the question stands in its passage."
    return ""


GATE = Gate("Numbers and names", 37, per_row(why))
