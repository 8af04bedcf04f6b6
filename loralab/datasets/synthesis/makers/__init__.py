"""Owns the makers: one file each, all extractive. A maker reads a document and proposes rows whose answer it quotes.

To add one write `makers/<name>.py` with `MAKER`, a function from a Reading to Drafts. Invariants: a draft's evidence is a span of the
document's text; a maker needs no language model; where it has no words for the document's language it proposes nothing.
"""

from __future__ import annotations

import re
from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from loralab.core import plugins
from loralab.datasets.synthesis.makers.phrases import PHRASES, Phrases
from loralab.datasets.synthesis.passages.blocks import Block, flat, sentences
from loralab.datasets.synthesis.passages.document import Document, Section

_SPEECH = re.compile(r"^[“\"„«»‘]|[,.!?…][”\"“«»’] (?:[a-zäöü]|[A-ZÄÖÜ]\w+ (?:said|asked|replied|cried))")
_SPOKEN, _FEWEST_SPOKEN = 0.15, 4  # share of the paragraphs of a story in which somebody speaks, and how many at least
_LEFT_OPEN = re.compile(
    r"\b(?:see|cf\.|siehe|vgl\.|voir|véase)\s+(?:also\s+|auch\s+)?(?:section|chapter|figure|table|page|box|appendix|abschnitt|kapitel|abbildung|tabelle|seite)"
    r"|\b(?:figure|table|section|chapter|fig\.|abb\.|abbildung|tabelle|abschnitt|kapitel)\s\d|\b(?:the|this) (?:figure|table"
    r"|diagram|chapter|section)\b"
    r"|\b(?:above|below|following|previous|next) (?:figure|table|section|chapter|page|example)|\bas (?:shown|described"
    r"|mentioned) (?:above|below|earlier)"
    r"|\bin (?:this|the next|the previous|the last) (?:section|chapter|unit|book)\b|\bin diesem (?:kapitel|abschnitt)\b",
    re.IGNORECASE,
)
MOST = 20_000  # rows of one document
_LAST = ("cloze", "lists")  # an answer that a document itself gives is not asked about once more in pieces
_KNOWLEDGE = ("headings", "definitions", "facts", "cloze", "lists", "faq")  # what makers find that a story does not say
LONGEST, SHORTEST = 900, 15  # characters of an answer that is a stretch of text


_THE = re.compile(r"(?:The|Der|Die|Das) ([\w-]+) (?:is|was|are|were|has|had|have|can|will|ist|war|hat|sind|waren|wurden?|kann)\b")
_BEFORE = 1200  # characters in which a thing is spoken of that a sentence then only points to
_ASIDE = re.compile(
    r"\s\((?:see |siehe |vgl\. )?(?:figures?|tables?|fig\.|abb\.|tab\.|section|chapter|kapitel|abschnitt|abbildung|tabelle)\s[\dA-Z.–-]+\)"
    r"|(?:^|(?<=[.!?] ))(?:See|Siehe|Vgl\.) [^.]{0,60}\d(?:\.\d+)*[^.]{0,60}\.(?=\s|$)",
    re.IGNORECASE,
)
_POINTS_TEXT = (
    "it he she they we you i this that these those his her their its my our your such both there here then thus so but and or however"
    " therefore also instead another others one either neither yet er sie es wir ihr ich dies diese dieser dieses sein seine seinen ihre"
    " ihren dabei dann dort hier da so aber und oder doch auch deshalb daher dadurch damit dazu darin davon außerdem solche beide"
    " il elle ils elles nous vous ce cela ceci ces cette ainsi mais donc él ella ellos esto eso así pero también"
)
_POINTS = frozenset(_POINTS_TEXT.split())


@dataclass(frozen=True)
class Draft:
    """A row to be: `start` to `end` is the evidence in the document's text."""

    question: str
    answer: str
    start: int
    end: int
    topic: str = ""
    row: int = 0  # of a table


@dataclass(frozen=True)
class Reading:
    """A document with what makers share of it."""

    document: Document

    @cached_property
    def sections(self) -> list[Section]:
        return self.document.sections()

    @cached_property
    def language(self) -> str:
        return self.document.language()

    @cached_property
    def phrases(self) -> Phrases | None:
        """Words for questions in the document's language; English where it is too short to tell; None where we have none."""
        return PHRASES.get(self.language or "en")

    @property
    def text(self) -> str:
        return self.document.text

    @cached_property
    def is_story(self) -> bool:
        """Whether it tells a story in which people speak: what happens in it is no knowledge, and is asked about in other ways."""
        told = [one for section in self.sections for one in section.blocks if one.kind == "para" and one.end - one.start > 20]
        spoken = sum(bool(_SPEECH.search(flat(self.text[one.start : one.end]))) for one in told)
        return spoken >= max(_FEWEST_SPOKEN, _SPOKEN * len(told))

    def shown(self, blocks: Sequence[Block]) -> str:
        """Blocks as one answer: paragraphs apart, items under one another with their signs, broken lines whole."""
        said = ""
        for at, one in enumerate(blocks):
            item = "- " if one.kind == "bullet" else f"{one.number}. " if one.kind == "number" else ""
            gap = "" if not at else "\n" if item and blocks[at - 1].kind == one.kind else "\n\n"
            said += f"{gap}{item}{flat(self.text[one.start : one.end])}"
        return _ASIDE.sub("", said).strip()

    def refers_back(self, said: str, start: int, heading: str) -> bool:
        """Whether a sentence is about “the station” that was spoken of before."""
        found = _THE.match(said)
        noun = found[1].casefold() if found else ""
        return bool(noun) and noun not in heading.casefold() and noun in self.text[max(0, start - _BEFORE) : start].casefold()

    def stands_alone(self, said: str) -> bool:
        """Whether a sentence can be understood without what stands around it: it begins with no “it” or “this”, and points to no figure."""
        first = re.split(r"[\s,’']", said, maxsplit=1)[0].casefold()
        begins = said[:1].isupper() or said[:1].isdigit()
        return begins and first not in _POINTS and not _LEFT_OPEN.search(said)

    def sentences(self) -> Iterator[tuple[Section, str, int, int]]:
        """Every sentence of running text: its section, its words on one line, its span."""
        for section in self.sections:
            for block in section.blocks:
                for start, end in sentences(self.text, block.start, block.end):
                    yield section, flat(self.text[start:end]), start, end


def inner(said: str) -> str:
    """Words that are put into quotation marks, with single ones of their own."""
    return said.translate(_SINGLE)


_SINGLE = str.maketrans("“”„»«", "‘’‚›‹")


class Spans:
    """Places of a document, kept so that many can be asked for."""

    def __init__(self) -> None:
        self._ends: dict[int, int] = {}
        self._starts: list[int] = []

    def add(self, start: int, end: int) -> None:
        if start not in self._ends:
            insort(self._starts, start)
        self._ends[start] = max(end, self._ends.get(start, 0))

    def covers(self, place: int) -> bool:
        """Whether the last span that begins before a place holds it."""
        at = bisect_right(self._starts, place) - 1
        return at >= 0 and place < self._ends[self._starts[at]]


Maker = Callable[[Reading], Iterator[Draft]]


def makers() -> dict[str, Maker]:
    """All makers by name."""
    return plugins.discover("loralab.datasets.synthesis.makers", "MAKER", apart=("phrases",))


def make(document: Document, wanted: Collection[str] = ()) -> Iterator[tuple[str, Draft]]:
    """Every draft with its maker's name; what was asked and answered so already is not made again."""
    reading, seen, made = Reading(document), set[tuple[str, str]](), Counter[str]()
    answered = Spans()
    for name, maker in sorted(makers().items(), key=lambda item: item[0] in _LAST):
        if (wanted and name not in wanted) or (name in _KNOWLEDGE and reading.is_story):
            continue
        for draft in maker(reading):
            if name == "faq":
                answered.add(draft.start, draft.end)
            elif name in _LAST and answered.covers(draft.start):
                continue
            key = (flat(draft.question).casefold(), flat(draft.answer).casefold())
            if key in seen or not key[0] or not key[1]:
                continue
            seen.add(key)
            made[name] += 1
            if made.total() > MOST:
                return
            yield name, draft
