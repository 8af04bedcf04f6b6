"""Owns quizzes as learning platforms take them: GIFT (Moodle) and Aiken, each a question with its options and which of them is right.

Invariant: a question of another kind (to be matched, to be written about) is named with its line, never guessed at.
Source: docs.moodle.org, “GIFT format” and “Aiken format”.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from loralab.core.records import LeftOut
from loralab.core.words import count
from loralab.datasets.formats.encoding import decode
from loralab.datasets.readers import Reader, Row, Table

FEWEST = 2  # questions that make a quiz of a text
LONGEST = 20_000  # characters of one question
LETTERS = "ABCDEFGH"
_AIKEN = re.compile(
    r"^(?P<asked>(?:(?![A-H][.)] |ANSWER:).+\n){1,20})(?P<options>(?:[A-H][.)] .+\n){2,8})ANSWER:[ \t]*(?P<key>[A-H])[ \t]*(?:\n|\Z)",
    re.MULTILINE,
)
_OPTION = re.compile(r"[A-H][.)] (.+)")
_PIECE = re.compile(r"(?:[^\n]*\S[^\n]*(?:\n|\Z))+")  # between blank lines
_NOTE = re.compile(r"^[ \t]*(?://|\$CATEGORY:).*(?:\n|\Z)", re.MULTILINE)
_GIFT = re.compile(
    r"\s*(?:::(?P<name>(?:\\.|[^\\])*?)::)?\s*(?:\[\w+\])?(?P<asked>(?:\\.|[^\\{}])*)\{(?P<key>(?:\\.|[^\\{}])*)\}(?P<after>[^{}]*)",
    re.DOTALL,
)
_ANSWER = re.compile(r"(?<!\\)([=~])(?:%-?[\d.]+%)?((?:\\.|[^\\=~#])*)(?:#(?:\\.|[^\\=~])*)?")
_ESCAPED = re.compile(r"\\([~=#{}:\\])")
_TRUTH = {"T": "True", "TRUE": "True", "F": "False", "FALSE": "False"}
_FACT = re.compile(r"(TRUE|FALSE|T|F)\s*(?:#.*)?", re.DOTALL)


def read(raw: bytes, name: str) -> list[Table]:
    """One row per question: the options under “option A” and so on and the letter of the right one, or the answer in words."""
    decoded = decode(raw, name)
    text = decoded.text
    found = [*_aiken(text)] if _AIKEN.search(text) else [*_gift(text)]
    rows = [Row(line, values) for line, values in found if values]
    lost = [LeftOut(row=line, source=name, reason="It is no question with one right answer.") for line, values in found if not values]
    columns = tuple(dict.fromkeys(("question", *sorted({c for row in rows for c in row.values if c.startswith("option")}), "answer")))
    return [Table(name, rows, columns, lost, decoded.encoding, about=count(len(rows), "question"))]


def _aiken(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    at, line = 0, _Lines(text)
    for found in (*_AIKEN.finditer(text), None):
        yield from ((line.of(piece.start()), {}) for piece in _PIECE.finditer(text, at, found.start() if found else len(text)))
        if found:
            options = _OPTION.findall(found["options"])
            right = LETTERS.index(found["key"]) < len(options)
            yield line.of(found.start()), _asked(found["asked"], options, found["key"]) if right else {}
            at = found.end()


def _gift(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    plain = _NOTE.sub(lambda note: "\n" if note[0].endswith("\n") else "", text)  # lines are counted as they were
    line = _Lines(plain)
    for piece in _PIECE.finditer(plain):
        found = _GIFT.fullmatch(piece[0]) if len(piece[0]) <= LONGEST else None
        yield line.of(piece.start()), _keyed(found) if found else {}


def _keyed(found: re.Match[str]) -> dict[str, Any]:
    """A question with its key: true or false, one right among others, or short answers of which the first is taken."""
    gap = " ___ " if found["after"].strip() else ""
    asked, key = _said(found["asked"]) + gap + _said(found["after"]), found["key"].strip()
    if fact := _FACT.fullmatch(key):
        return _asked(asked, (), _TRUTH[fact[1]])
    marked = [(sign, _said(words)) for sign, words in _ANSWER.findall(key)]
    right = [words for sign, words in marked if sign == "="]
    if (
        not asked.strip()
        or not right
        or not all(words for _, words in marked)
        or any("->" in words for words in right)
        or key[0] not in "=~"
    ):
        return {}
    if len(right) == len(marked):
        return _asked(asked, (), right[0])
    options = [words for _, words in marked]
    return _asked(asked, options, LETTERS[options.index(right[0])]) if len(right) == 1 and len(options) <= len(LETTERS) else {}


def _asked(question: str, options: Any, answer: str) -> dict[str, Any]:
    told = {f"option {LETTERS[at]}": option.strip() for at, option in enumerate(options)}
    return {"question": " ".join(question.split()), **told, "answer": answer}


def _said(text: str) -> str:
    return _ESCAPED.sub(r"\1", text).replace("\\n", "\n").strip()


class _Lines:
    """Numbers of the lines that places of a text lie in, asked in their order: each part of it is counted once."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.line = text, 0, 1

    def of(self, place: int) -> int:
        self.line += self.text.count("\n", self.at, place)
        self.at = place
        return self.line


def claims(raw: bytes, suffix: str) -> bool:
    """Whether nearly all of a text is such questions."""
    if suffix not in ("", ".txt", ".gift", ".text") or not (b"ANSWER:" in raw or (b"{" in raw and b"}" in raw)) or len(raw) > 20_000_000:
        return False
    text = raw.decode("utf-8", "replace").replace("\r\n", "\n")
    found = [*_aiken(text)] if _AIKEN.search(text) else [*_gift(text)] if suffix == ".gift" or "::" in text or "{=" in text else []
    asked = sum(bool(values) for _, values in found)
    return asked >= FEWEST and asked >= 0.8 * len(found)


READER = Reader(suffixes=(".gift",), read=read, claims=claims)
