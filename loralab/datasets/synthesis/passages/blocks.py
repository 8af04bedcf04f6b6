"""Owns what a text consists of: headings, paragraphs, list items, by the signs that writers give. One pass, linear in the text.

Invariant: a block is a span of the text it was found in, so that what is quoted from it is verbatim.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from loralab.datasets.synthesis.passages.apart import stands_apart

Kind = Literal["heading", "para", "bullet", "number"]

_MARKDOWN = re.compile(r"(#{1,6})[ \t]+(\S.*?)[ \t]*#*$")
_BULLET = re.compile(r"[-*•◦▪–·][ \t]+(?=\S)")
_NUMBER = re.compile(r"(?:\(?(\d{1,3})[.)]|[Ss]tep[ ](\d{1,3})[.:)]?)[ \t]+(?=\S)")
_SPEECH = re.compile(r"[A-ZÄÖÜÉÀ][\w.'’-]*(?: [A-ZÄÖÜÉÀ\d][\w.'’-]*){0,3}:\s")
_SAID_OUT = re.compile(r"[.!?:;…”“\"«»)\]]\s*$")
_SECTION_NUMBER = re.compile(r"(?:\d{1,2}\.){0,3}\d{1,2}\.?[ \t]+(?=[A-ZÄÖÜÉ])")
_CHAPTER = re.compile(r"(?:chapter|part|section|kapitel|teil|chapitre|capítulo)\s+[\divxlc]+\b", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.!?…])[\"”’)]*\s+(?=[“\"‘(]?[A-ZÄÖÜÉÀ\d])")
_SHORT = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|No|Fig|vs|etc|e\.g|i\.e|cf|approx|Nr|bzw|z\.\s?B|usw|ca|[A-Za-z]))\.$")
_HEADING_CHARACTERS, _HEADING_WORDS, _TITLE_WORDS = 90, 13, 6
_WRAPPED = 120  # characters: a longer line was not broken by its writer


@dataclass(frozen=True)
class Block:
    """A span of a text. `start` is behind marks such as “#” or “-”; `level`: of a heading; `number`: of a numbered item."""

    kind: Kind
    start: int
    end: int
    level: int = 0
    number: int = 0


def blocks(text: str) -> list[Block]:
    """All blocks in order."""
    found = [one for start, end in _paragraphs(text) for one in _split(text, start, end)]
    made: list[Block] = []
    for at, one in enumerate(found):
        after = found[at + 1] if at + 1 < len(found) else None
        asked_on = bool(made) and made[-1].kind == one.kind == "number" and text[made[-1].start : made[-1].end].endswith("?")
        made.append(Block("heading", one.start, one.end, one.level or 3) if not asked_on and _is_heading(text, one, after) else one)
    return made


def sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Spans of the sentences between two places."""
    begun = start
    for cut in _SENTENCE.finditer(text, start, end):
        if _SHORT.search(text[max(begun, cut.start() - 12) : cut.start()]):
            continue
        yield begun, cut.start() + len(cut[0].rstrip())
        begun = cut.end()
    if text[begun:end].strip():
        yield begun, end


def flat(text: str) -> str:
    """The words on one line."""
    return " ".join(text.split())


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    """Spans between blank lines."""
    at = 0
    for gap in re.finditer(r"\n[ \t\r]*\n\s*|\f", text):
        if text[at : gap.start()].strip():
            yield at, gap.start()
        at = gap.end()
    if text[at:].strip():
        yield at, len(text)


def _split(text: str, start: int, end: int) -> Iterator[Block]:
    """A paragraph as blocks: lines that are marked, or too long to have been wrapped, stand for themselves."""
    lines = list(_lines(text, start, end))
    long = any(b - a > _WRAPPED for a, b in lines) and len(lines) > 1
    current: Block | None = None
    for a, b in lines:
        said = text[a:b]
        fresh = current is None or current.kind == "heading" or bool(_SAID_OUT.search(text[current.start : current.end][-4:]))
        if (title := _MARKDOWN.match(said)) is not None:
            if current:
                yield current
            current = None
            yield Block("heading", a + title.start(2), a + title.end(2), len(title[1]))
        elif set(said.strip()) <= set("=-~") and len(said.strip()) >= 3 and current and current.kind == "para":
            yield Block("heading", current.start, current.end, 1 if "=" in said else 2)
            current = None
        elif (own := _marked(said, a, b, fresh)) is not None or current is None or long:
            if current:
                yield current
            current = own or Block("para", a, b)
        else:
            current = Block(current.kind, current.start, b, current.level, current.number)
    if current:
        yield current


def _marked(said: str, a: int, b: int, fresh: bool) -> Block | None:
    """A line that stands for itself. `fresh`: what stood before it was said to its end, so that it is no wrapped line."""
    if (bullet := _BULLET.match(said)) is not None:
        return Block("bullet", a + bullet.end(), b)
    if (number := _NUMBER.match(said)) is not None:
        return Block("number", a + number.end(), b, number=int(number[1] or number[2]))
    return Block("para", a, b) if fresh and (_SPEECH.match(said) or said.rstrip().endswith("?")) else None


def _lines(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Spans of lines without the blanks around them."""
    at = start
    while at < end:
        stop = text.find("\n", at, end)
        stop = end if stop < 0 else stop
        line = text[at:stop]
        if line.strip():
            yield at + len(line) - len(line.lstrip()), at + len(line.rstrip())
        at = stop + 1


def _is_heading(text: str, one: Block, after: Block | None) -> bool:
    """Whether a short line stands over what follows. A numbered item alone before a paragraph is a numbered heading."""
    said = text[one.start : one.end]
    if one.kind == "para" and said.count("\n") == 1 and len(said) <= _HEADING_CHARACTERS and _CHAPTER.match(said):
        return after is not None and not said.endswith((".", ",", "?", "!"))  # “Chapter I” and its title under it
    if one.kind in ("heading", "bullet") or "\n" in said or len(said) > _HEADING_CHARACTERS or len(said.split()) > _HEADING_WORDS:
        return one.kind == "heading"
    if after is None or after.kind == "heading" or not said[:1].isalnum():
        return False
    if said.endswith("?"):
        return not _SPEECH.match(said) and not text[after.start : after.end].rstrip().endswith("?")
    sentence = said.endswith((".", ",", ";", ":", "!", "…", "”", '"')) or said[:1].islower() or bool(_SPEECH.match(said))
    return not sentence and _is_title(one, said, after)


def _is_title(one: Block, said: str, after: Block) -> bool:
    """Whether a line that is no sentence is a title of what follows it."""
    if _CHAPTER.match(said) or _SECTION_NUMBER.match(said):
        return len(said.split()) > 1
    if after.kind in ("bullet", "number") or stands_apart(said, ()):
        return one.kind == "para" and len(said.split()) <= _TITLE_WORDS and said[:1].isupper()
    return one.kind == "para" and after.kind == "para" and after.end - after.start >= max(60, 1.5 * len(said))
