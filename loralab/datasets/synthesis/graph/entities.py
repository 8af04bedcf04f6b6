"""Owns what documents speak of: names, what abbreviations stand for, and noun phrases that come again. By rules and counts, no model.

Invariant: an entity stands in at least one sentence that can be shown.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loralab.datasets.synthesis.makers.phrases import PHRASES
from loralab.datasets.synthesis.passages.blocks import flat, sentences
from loralab.datasets.synthesis.rows import Passage
from loralab.datasets.synthesis.search.space import STOP

MOST = 400  # entities, the commonest
_NAME = re.compile(r"(?:[A-ZÄÖÜÉ][\w’'-]*[a-zäöüß\d][\w’'-]*|[A-Z]{2,8})(?:\s+(?:(?:of|the|von|van|de|del|la|for)\s+)?[A-ZÄÖÜÉ][\w’'-]*)*")
_ACRONYM = re.compile(r"\b((?:[A-Z][\w-]+\s+){2,6})\(([A-Z]{2,8})\)|\b((?:[a-z-]+\s+){1,6}[a-z-]+)\s+\(([A-Z]{2,8})\)")
_PHRASE = re.compile(r"\b[a-z]{4,}(?:\s+[a-z]{4,}){1,2}\b")
_FEWEST_PHRASES = 4  # sentences that a noun phrase without capitals has to stand in
_LONGEST = 60
_VERBS = ("ing", "ed")
_STARTERS = frozenset(word for one in PHRASES.values() for word in one.not_terms) | STOP


@dataclass(frozen=True)
class Sentence:
    """A sentence of a passage."""

    passage: str
    source: str
    start: int  # in the document
    text: str
    names: tuple[tuple[int, int, str], ...] = ()  # start and end in `text`, entity


def spoken(passages: Sequence[Passage]) -> Iterator[Sentence]:
    """The sentences of running text; a table's rows are none."""
    for passage in passages:
        for start, end in sentences(passage.text, 0, len(passage.text)):
            yield Sentence(passage.id, passage.source, passage.offset + start, flat(passage.text[start:end]))


def named(held: Sequence[Sentence]) -> list[Sentence]:
    """The sentences with the entities in them."""
    aliases = _aliases(held)
    mid, raw = Counter[str](), list[list[tuple[int, int, str]]]()
    for one in held:
        found = [(m.start(), m.end(), m[0]) for m in _NAME.finditer(one.text)]
        raw.append(trimmed := [hit for start, end, name in found if (hit := _without_starter(start, end, name))])
        mid.update(name for start, _, name in trimmed if start > 0)
    phrases = _phrases(held)
    total = Counter(name for hits in raw for _, _, name in hits)
    # a word that only ever begins sentences is a word with a capital
    wanted = {name for name, _ in total.most_common(MOST * 3) if mid[name] or " " in name or (total[name] > 2 and name.isupper())}
    made: list[Sentence] = []
    for one, hits in zip(held, raw, strict=True):
        kept = [(start, end, aliases.get(name, name)) for start, end, name in hits if name in wanted and len(name) <= _LONGEST]
        kept += [(m.start(), m.end(), m[0]) for m in _PHRASE.finditer(one.text) if m[0] in phrases]
        made.append(Sentence(one.passage, one.source, one.start, one.text, tuple(sorted(kept))))
    return made


def _without_starter(start: int, end: int, name: str) -> tuple[int, int, str] | None:
    """A name without the article or pronoun that only begins the sentence."""
    first, _, rest = name.partition(" ")
    while first.casefold() in _STARTERS:
        if not rest:
            return None
        start, name = end - len(rest), rest
        first, _, rest = name.partition(" ")
    name = name.rstrip("’'").removesuffix("’s").removesuffix("'s")
    return (start, start + len(name), name) if len(name) > 1 else None


def _aliases(held: Sequence[Sentence]) -> dict[str, str]:
    """Abbreviation -> what it stands for, where its letters are the first letters of the words before it."""
    found: dict[str, str] = {}
    for one in held:
        for match in _ACRONYM.finditer(one.text):
            words, short = (match[1] or match[3]).split(), match[2] or match[4]
            tail = words[-len(short) :]
            if "".join(word[0] for word in tail).upper() == short:
                found[short] = " ".join(tail)
    return found


def _phrases(held: Sequence[Sentence]) -> set[str]:
    """Pairs and triples of plain words that come again and again; no verbs by their looks, none that begins or ends with a small word."""
    where: dict[str, set[int]] = defaultdict(set)
    for place, one in enumerate(held):
        for match in _PHRASE.finditer(one.text):
            words = match[0].split()
            if not any(word in STOP or word in _STARTERS for word in words) and not words[-1].endswith(_VERBS):
                where[match[0]].add(place)
    often = sorted((phrase for phrase, places in where.items() if len(places) >= _FEWEST_PHRASES), key=lambda phrase: -len(where[phrase]))
    return set(often[: MOST // 4])
