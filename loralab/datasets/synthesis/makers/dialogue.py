"""Dialogue: lines with the speaker's name before them, and speech in quotation marks. What one says is answered by what the other says."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from loralab.datasets.synthesis.makers import Draft, Reading
from loralab.datasets.synthesis.passages.blocks import Block, flat

_SPEAKER = re.compile(r"^([^\W\d_][\w .'’-]{0,28}):\s+(\S.*)", re.DOTALL)
QUOTED = re.compile(
    r"“([^“”]{2,900})”|„([^„“”]{2,900})[“”]|»([^«»]{2,900})«|«\s?([^«»]{2,900}?)\s?»|\"([^\"]{2,900})\"|(?<!\w)‘([^‘]{2,900}?)’(?!\w)"
)
OPENS = '“"„«»‘'
_FEWEST = 4  # turns that make a conversation
_NO_SPEAKERS_TEXT = "q a question answer note example warning tip step figure table source frage antwort hinweis beispiel tabelle abbildung"
_NO_SPEAKERS = frozenset(_NO_SPEAKERS_TEXT.split())
_LONGEST = 600
_LEAD = 90  # characters that say who speaks, before the first of the speech
_LEADS = re.compile(
    r"(?:said|asked|repl|answer|cried|sagte|rief|fragte|antwortete|sprach|dit|demanda|répondit|dijo|preguntó|respondió)", re.IGNORECASE
)


def make(reading: Reading) -> Iterator[Draft]:
    """Neighbouring turns by different speakers, or neighbouring paragraphs that begin with speech."""
    for section in reading.sections:
        named = [(block, found) for block in section.blocks if (found := _SPEAKER.match(reading.text[block.start : block.end]))]
        speakers = Counter(found[1].casefold() for _, found in named if found[1].casefold() not in _NO_SPEAKERS)
        again = {name for name, times in speakers.items() if times > 1}
        if len(again) > 1 and sum(speakers[name] for name in again) >= _FEWEST:
            yield from _named(reading, section.blocks, again, section.heading)
        else:
            yield from _spoken(reading, section.blocks, section.heading)


def _named(reading: Reading, blocks: tuple[Block, ...], speakers: set[str], topic: str) -> Iterator[Draft]:
    before: tuple[str, str] | None = None
    for block in blocks:
        found = _SPEAKER.match(reading.text[block.start : block.end])
        if not found or found[1].casefold() not in speakers:
            before = None
            continue
        who, said = found[1].casefold(), flat(found[2])
        if before and before[0] != who and max(len(before[1]), len(said)) <= _LONGEST:
            yield Draft(before[1], said, block.start + found.start(2), block.end, topic)
        before = (who, said)


def _spoken(reading: Reading, blocks: tuple[Block, ...], topic: str) -> Iterator[Draft]:
    """In a story a new paragraph is a new speaker; who speaks and how, between the parts of a speech, is left out."""
    before = ""
    for block in blocks:
        parts = speech(reading.text[block.start : block.end])
        said = whole(parts)
        usable = bool(parts) and len(said.split()) > 1 and len(said) <= _LONGEST
        if before and usable:
            yield Draft(before, said, block.start + parts[0][1], block.start + parts[-1][2], topic)
        before = said if usable else ""


def speech(text: str) -> list[tuple[str, int, int]]:
    """What is said in a paragraph, with its places, where it begins with speech or with who speaks."""
    parts = [(next(filter(None, found.groups())), found.start() + 1, found.end() - 1) for found in QUOTED.finditer(text)]
    lead = text[: parts[0][1] - 1] if parts else ""
    return parts if parts and (not lead.strip() or (len(lead) <= _LEAD and _LEADS.search(lead))) else []


def whole(parts: list[tuple[str, int, int]]) -> str:
    """The parts of a speech as one, ended as if nobody told who said it."""
    said = flat(
        " ".join(f"{part}," if part[-1:].isalnum() and place + 1 < len(parts) else part for place, (part, _, _) in enumerate(parts))
    )
    return f"{said[:-1]}." if said.endswith(",") else said if said[-1:] in ".!?…—-’" else f"{said}." if said else ""


MAKER = make
