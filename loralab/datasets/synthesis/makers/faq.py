"""Questions that a document itself asks and answers: “Q: … A: …”, a question as a heading or as a line with its answer under it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from loralab.datasets.synthesis.makers import LONGEST, Draft, Reading
from loralab.datasets.synthesis.passages.blocks import Block, flat

_Q = re.compile(r"^(?:Q(?:uestion)?|F(?:rage)?|P(?:regunta)?)\s*\d{0,3}\s*[:.)]\s*", re.IGNORECASE)
_A = re.compile(r"^(?:A(?:nswer)?|A(?:ntwort)?|R(?:éponse|espuesta)?)\s*\d{0,3}\s*[:.)]\s*", re.IGNORECASE)
_COUNTED = re.compile(r"^(?:\d{1,3}[.)]|[-*•])\s+")
_LONGEST_QUESTION = 250
_SHORTEST = 2


def make(reading: Reading) -> Iterator[Draft]:
    """Each question with the paragraphs up to the next."""
    for section in reading.sections:
        if section.heading.endswith("?") and section.blocks and not _asks(reading, section.blocks[0]):
            yield from _answered(reading, _COUNTED.sub("", section.heading), list(section.blocks), section.heading)
        at = 0
        while at < len(section.blocks):
            block, after = section.blocks[at], list[Block]()
            at += 1
            if not _asks(reading, block):
                continue
            while at < len(section.blocks) and not _asks(reading, section.blocks[at]):
                after.append(section.blocks[at])
                at += 1
            question = _COUNTED.sub("", _Q.sub("", flat(reading.text[block.start : block.end])))
            yield from _answered(reading, question, after, section.heading)


def _asks(reading: Reading, block: Block) -> bool:
    said = flat(reading.text[block.start : block.end])
    if len(said) > _LONGEST_QUESTION or said[:1] in "“\"„«’'":
        return False
    return bool(_Q.match(said)) or (said.endswith("?") and "?" not in said[:-1] and len(said.split()) >= 3 and ". " not in said)


def _answered(reading: Reading, question: str, after: list[Block], heading: str) -> Iterator[Draft]:
    """The first paragraphs, as long as one answer may be; said speech is no answer."""
    if not after:
        return
    start = after[0].start
    lead = _A.match(reading.text[start : after[0].end])
    start += lead.end() if lead else 0
    end = after[0].end
    for block in after[1:]:
        if block.end - start > LONGEST:
            break
        end = block.end
    answer = reading.text[start:end].strip()
    if len(answer) >= _SHORTEST and len(answer) <= 2 * LONGEST and answer[:1] not in '“"„«':
        parts = re.split(r"\n\s*\n", answer)
        topic = heading if heading != question else ""
        yield Draft(question, "\n\n".join(part if "\n-" in part else flat(part) for part in parts), start, end, topic)


MAKER = make
