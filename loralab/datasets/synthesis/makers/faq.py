"""Questions that a document itself asks and answers: “Q: … A: …”, a question as a heading or as a line with its answer under it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from loralab.datasets.synthesis.makers import LONGEST, Draft, Reading
from loralab.datasets.synthesis.makers.headings import NUMBERED
from loralab.datasets.synthesis.passages.blocks import Block, flat

_Q = re.compile(r"^(?:Q(?:uestion)?|F(?:rage)?|P(?:regunta)?)\s*\d{0,3}\s*[:.)]\s*", re.IGNORECASE)
_FURNITURE = re.compile(
    r"(?:was|did|is|do|war|hat|haben) (?:this|you|it|diese|das|sie)\b.{0,40}\b(?:helpful|useful|helped|find what|answer your"
    r"|questions|hilfreich|geholfen|fragen)\b.*"
    r"|(?:still|more|other|any|noch|weitere) .{0,20}(?:questions|fragen|problems|help)\?|need (?:more )?help\?|(?:didn|did)"
    r" ?[’']?n?[o]?t find.*|forgot(?:ten)? (?:your )?password\?",
    re.IGNORECASE,
).fullmatch
_A = re.compile(r"^(?:A(?:nswer)?|A(?:ntwort)?|R(?:éponse|espuesta)?)\s*\d{0,3}\s*[:.)]\s*", re.IGNORECASE)
_COUNTED = re.compile(r"^(?:\d{1,3}[.)]|[-*•])\s+")
_LONGEST_QUESTION = 250
_SHORTEST = 2


def make(reading: Reading) -> Iterator[Draft]:
    """Each question with the paragraphs up to the next."""
    for section in reading.sections:
        if section.heading.endswith("?") and section.blocks and not _asks(reading, section.blocks[0]):
            upto = next((at for at, block in enumerate(section.blocks) if _asks(reading, block)), len(section.blocks))
            yield from _answered(reading, section.heading, list(section.blocks[:upto]), section.heading)
        at = 0
        while at < len(section.blocks):
            block, after = section.blocks[at], list[Block]()
            at += 1
            if not _asks(reading, block):
                continue
            while at < len(section.blocks) and not _asks(reading, section.blocks[at]):
                after.append(section.blocks[at])
                at += 1
            yield from _answered(reading, flat(reading.text[block.start : block.end]), after, section.heading)


def _asks(reading: Reading, block: Block) -> bool:
    said = flat(reading.text[block.start : block.end])
    if len(said) > _LONGEST_QUESTION or said[:1] in "“\"„«’'":
        return False
    return bool(_Q.match(said)) or (said.endswith("?") and "?" not in said[:-1] and len(said.split()) >= 3 and ". " not in said)


def _answered(reading: Reading, asked: str, after: list[Block], heading: str) -> Iterator[Draft]:
    """The first paragraphs, as long as one answer may be; said speech, or the next question of an exercise, is no answer."""
    question = NUMBERED.sub("", _COUNTED.sub("", _Q.sub("", asked)))
    if not after or _FURNITURE(question):
        return
    held = after[:1]
    for block in after[1:]:
        if block.end - held[0].start > LONGEST:
            break
        held.append(block)
    said = reading.text[held[0].start : held[-1].end]
    lead = _A.match(said)
    start = held[0].start + (lead.end() if lead else 0)
    held = [replace(held[0], start=start), *held[1:]]
    if len(held) < len(after) and reading.text[held[-1].start : held[-1].end].rstrip().endswith(":"):
        held.pop()
    if held and _SHORTEST <= held[-1].end - start <= 2 * LONGEST and said[:1] not in '“"„«»':
        topic = NUMBERED.sub("", heading) if heading != asked else ""
        yield Draft(question, reading.shown(held), start, held[-1].end, topic)


MAKER = make
