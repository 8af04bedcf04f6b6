"""Owns plain text and Markdown: passages of whole paragraphs. Also the last resort for text with an unknown ending."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from loralab.core.errors import UserError
from loralab.core.records import LeftOut
from loralab.core.words import count
from loralab.datasets.conversations.transcripts import several, turns
from loralab.datasets.formats.documents import Block, parts
from loralab.datasets.formats.encoding import decode
from loralab.datasets.formats.passages import passages
from loralab.datasets.formats.written import written_for
from loralab.datasets.readers import Reader, Row, Table

_PICTURE = re.compile(r"<?data:image/[\w.+-]+;base64,[A-Za-z0-9+/=]{64,}>?")  # within the text: letters that nobody reads

_NO_WORDS = re.compile(r"[A-Za-z0-9+/=_-]{60,}")
_LABEL = re.compile(r"((?:__label__\S+\s+)+)(.+)")
_TABLE = re.compile(r"^[ \t]*\|?[^\n|]+\|[^\n]*\n[ \t]*\|?[ \t]*:?-+:?[ \t]*\|[-:| \t]*\n(?:[^\n]*\|[^\n]*(?:\n|\Z))+", re.MULTILINE)
_RULE = re.compile(r"[-:| \t]+")
_CELL = re.compile(r"(?<!\\)\|")
_SIGNS = (" -> ", " => ", " → ", " ||| ", " || ", " | ", " :: ", " = ", " – ", " — ", " - ")  # between two sides of a line
_FEWEST_LINES, _LONGEST_SIDE = 5, 2000  # a list of pairs; characters
_BULLET = re.compile(r"[-*•–—]\s|\d+[.)]\s")
_MANY = 1000  # characters
_LONGEST_TALK = 20_000_000  # characters that are looked through for who speaks


def read(raw: bytes, name: str) -> list[Table]:
    """One row per passage, numbered from 1, in the column `text`. What is written for programs is read, too, and a person is asked."""
    decoded = decode(raw, name)
    text, pictures = _PICTURE.subn("", decoded.text)
    if len(text) > _MANY and sum(len(run) for run in _NO_WORDS.findall(text)) > 0.6 * len(text):
        what = f"{name} holds letters and digits without words, as programs write keys and packed files."
        raise UserError(what, "Choose a file with written examples in it.", code="not_text")
    talks, sure = several(text) if len(text) <= _LONGEST_TALK else ([], True)
    if talks:
        return [_spoken(name, talks, sure, decoded.encoding)]
    if table := _labelled(name, text, decoded.encoding) or _piped(name, text):
        return table
    kind = written_for(text, PurePosixPath(name.lower()).suffix)
    if not kind and (sides := _two_sided(name, text, decoded.encoding)):
        return sides
    rows = [Row(number, {"text": passage}) for number, passage in enumerate(passages(text), 1)]
    about = kind or (f"{count(pictures, 'picture')} not read" if pictures else "")
    return [Table(source=name, rows=rows, columns=("text",), encoding=decoded.encoding, is_prose=True, about=about, guessed=bool(kind))]


def _spoken(name: str, talks: list[tuple[int, str]], sure: bool, encoding: str) -> Table:
    """Conversations as rows, numbered by the line they begin in; a piece that is none is named."""
    rows = [Row(line, {"conversation": talk}) for line, talk in talks if turns(talk)]
    lost = [LeftOut(row=line, source=name, reason="It is no conversation, as the others are.") for line, talk in talks if not turns(talk)]
    about = (
        count(len(rows), "conversation") if sure else f"one conversation, of which each question with its answer is taken: {len(rows):,}"
    )
    return Table(name, rows, ("conversation",), lost, encoding, about=about, guessed=not sure)


def _labelled(name: str, text: str, encoding: str) -> list[Table]:
    """Lines that each begin with their class, as fastText has them; none where one does not."""
    if not text.lstrip().startswith("__label__"):
        return []
    found = [(at, _LABEL.fullmatch(line.strip())) for at, line in enumerate(text.split("\n"), 1) if line.strip()]
    rows = [Row(at, {"text": match[2], "label": match[1].replace("__label__", " ").strip()}) for at, match in found if match]
    return [Table(name, rows, ("text", "label"), [], encoding)] if len(rows) == len(found) else []


def _two_sided(name: str, text: str, encoding: str) -> list[Table]:
    """Lines that each have two sides with one sign between, as people write lists of words; a person is asked. None where one has not."""
    lines = [(at, line.strip()) for at, line in enumerate(text.split("\n"), 1) if line.strip()]
    if len(lines) < _FEWEST_LINES or any(_BULLET.match(line) for _, line in lines):
        return []
    sign = next((sign for sign in _SIGNS if all(line.count(sign) == 1 for _, line in lines)), "")
    found = [(at, [side.strip() for side in line.split(sign)]) for at, line in lines] if sign else []
    if not found or not all(side and len(side) <= _LONGEST_SIDE for _, sides in found for side in sides):
        return []
    rows = [Row(at, {"column 1": left, "column 2": right}) for at, (left, right) in found]
    about = f"each line has two sides, with “{sign.strip()}” between"
    return [Table(name, rows, ("column 1", "column 2"), [], encoding, headed=False, about=about, guessed=True)]


def _piped(name: str, text: str) -> list[Table]:
    """A Markdown page that is a table for the most part: the table, and the words around it."""
    found = list(_TABLE.finditer(text)) if "|" in text else []
    if not found or 2 * sum(len(table[0]) for table in found) < len(text.strip()):
        return []
    blocks: list[Block] = []
    at = 0
    for table in found:
        lines = [line for line in table[0].strip().split("\n") if not _RULE.fullmatch(line.strip())]
        blocks += [text[at : table.start()].strip(), [[_cell(cell) for cell in _CELL.split(line.strip().strip("|"))] for line in lines]]
        at = table.end()
    return parts(name, [block for block in [*blocks, text[at:].strip()] if block])


def _cell(text: str) -> str:
    return text.strip().replace("\\|", "|").replace("<br>", "\n")


READER = Reader(suffixes=(".txt", ".md", ".markdown", ".text", ".log", ""), read=read)
