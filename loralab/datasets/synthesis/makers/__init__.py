"""Owns the makers: one file each, all extractive. A maker reads a document and proposes rows whose answer it quotes.

To add one write `makers/<name>.py` with `MAKER`, a function from a Reading to Drafts. Invariants: a draft's evidence is a span of the
document's text; a maker needs no language model; where it has no words for the document's language it proposes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

from loralab.core import plugins
from loralab.datasets.synthesis.makers.phrases import PHRASES, Phrases
from loralab.datasets.synthesis.passages.blocks import flat, sentences
from loralab.datasets.synthesis.passages.document import Document, Section

MOST = 20_000  # rows of one document
LONGEST, SHORTEST = 900, 15  # characters of an answer that is a stretch of text


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

    def sentences(self) -> Iterator[tuple[Section, str, int, int]]:
        """Every sentence of running text: its section, its words on one line, its span."""
        for section in self.sections:
            for block in section.blocks:
                for start, end in sentences(self.text, block.start, block.end):
                    yield section, flat(self.text[start:end]), start, end


Maker = Callable[[Reading], Iterator[Draft]]


def makers() -> dict[str, Maker]:
    """All makers by name."""
    return plugins.discover("loralab.datasets.synthesis.makers", "MAKER", apart=("phrases",))


def make(document: Document, wanted: Collection[str] = ()) -> Iterator[tuple[str, Draft]]:
    """Every draft with its maker's name; what was asked and answered so already is not made again."""
    reading, seen, made = Reading(document), set[tuple[str, str]](), Counter[str]()
    for name, maker in makers().items():
        if wanted and name not in wanted:
            continue
        for draft in maker(reading):
            key = (flat(draft.question).casefold(), flat(draft.answer).casefold())
            if key in seen or not key[0] or not key[1]:
                continue
            seen.add(key)
            made[name] += 1
            if made.total() > MOST:
                return
            yield name, draft
