"""Dialogue: lines with the speaker's name before them, and speech in quotation marks. What one says is answered by what the other says."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from loralab.datasets.synthesis.makers import Draft, Reading
from loralab.datasets.synthesis.passages.blocks import Block, flat

_SPEAKER = re.compile(r"^([^\W\d_][\w .'’-]{0,28}):\s+(\S.*)", re.DOTALL)
_QUOTED = re.compile(r"[“\"„«]([^”\"“«»]{2,600})[”\"“»]")
_FEWEST = 4  # turns that make a conversation
_NO_SPEAKERS_TEXT = "q a question answer note example warning tip step figure table source frage antwort hinweis beispiel"
_NO_SPEAKERS = frozenset(_NO_SPEAKERS_TEXT.split())
_LONGEST = 600


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
    """In a story a new paragraph is a new speaker; what stands between the quoted parts of one paragraph is left out of the question."""
    before = ""
    for block in blocks:
        text = reading.text[block.start : block.end]
        parts = list(_QUOTED.finditer(text)) if text[:1] in '“"„«' else []
        said = flat(" ".join(part[1] for part in parts))
        if before and parts and len(parts) == 1 and len(said) <= _LONGEST and len(said.split()) > 1:
            yield Draft(before, flat(parts[0][1]), block.start + parts[0].start(1), block.start + parts[0].end(1), topic)
        before = said if parts and len(said.split()) > 1 and len(said) <= _LONGEST else ""


MAKER = make
