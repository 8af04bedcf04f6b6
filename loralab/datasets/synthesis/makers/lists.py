"""Lists: a line that ends with a colon, or a heading, and the items under it. The items are the answer."""

from __future__ import annotations

import re
from collections.abc import Iterator

from loralab.datasets.synthesis.makers import LONGEST, Draft, Reading
from loralab.datasets.synthesis.makers.headings import NUMBERED
from loralab.datasets.synthesis.makers.phrases import Phrases
from loralab.datasets.synthesis.passages.blocks import Block, flat

_ARE = re.compile(r"^(?P<what>(?:The|These|Our|Die|Diese|Les|Los|Las) .{2,80}?) (?:are|sind|sont|son)\b.*:$", re.IGNORECASE)
_STEPS = re.compile(r"\b(?:steps|schritte|étapes|pasos|instructions|as follows)\b.{0,20}:$|\b(?:able to|in der lage):$", re.IGNORECASE)
_FEWEST, _MOST, _SHORT_LEAD = 2, 20, 3


def make(reading: Reading) -> Iterator[Draft]:
    """Bulleted lists with what leads to them, or the heading they stand under."""
    if not (phrases := reading.phrases):
        return
    for section in reading.sections:
        for lead, items in runs(section.blocks, "bullet"):
            said = flat(reading.text[lead.start : lead.end]) if lead else ""
            start, end = items[0].start, items[-1].end
            if sum(reading.text[item.start : item.end].rstrip().endswith("?") for item in items) > 0.3 * len(items):
                continue  # the questions that stand below with their answers
            if not _FEWEST <= len(items) <= _MOST or end - start > 2 * LONGEST or _STEPS.search(said):
                continue
            if question := _asked(said, section.heading, phrases):
                yield Draft(question, reading.shown(items), start, end, section.heading)


def _asked(lead: str, heading: str, phrases: Phrases) -> str:
    """The question that a list answers; "" where nothing says what it lists."""
    title = NUMBERED.sub("", heading).strip(" .:")
    last = lead.rsplit(". ", maxsplit=1)[-1]
    if lead.endswith(":") and (are := _ARE.match(last)):
        return phrases.what_are.format(are["what"][0].lower() + are["what"][1:])
    if lead.endswith(":") and len(last.split()) >= _SHORT_LEAD:
        return phrases.complete.format(last)
    return phrases.listed.format(title) if title and not title.endswith("?") and not lead else ""


def runs(blocks: tuple[Block, ...], kind: str) -> Iterator[tuple[Block | None, list[Block]]]:
    """Items of one kind that stand together, each run with the paragraph before it."""
    lead, held = None, list[Block]()
    for block in blocks:
        starts_anew = kind == "number" and held and block.number <= held[-1].number
        if block.kind == kind and not starts_anew:
            held.append(block)
            continue
        if held:
            yield lead, held
        held = [block] if block.kind == kind else []
        lead = block if block.kind == "para" else None if not held else lead
    if held:
        yield lead, held


MAKER = make
