"""Lists: a line that ends with a colon, or a heading, and the items under it. The items are the answer."""

from __future__ import annotations

import re
from collections.abc import Iterator

from loralab.datasets.synthesis.makers import LONGEST, Draft, Reading
from loralab.datasets.synthesis.passages.blocks import Block, flat

_ARE = re.compile(r"^(?P<what>(?:The|These|Our|Die|Les|Los|Las) .{2,80}?) (?:are|sind|sont|son)\b.*:$", re.IGNORECASE)
_FEWEST, _MOST = 2, 20


def make(reading: Reading) -> Iterator[Draft]:
    """Bulleted lists with what leads to them."""
    if not (phrases := reading.phrases):
        return
    for section in reading.sections:
        for lead, items in runs(section.blocks, "bullet"):
            said = flat(reading.text[lead.start : lead.end]) if lead else ""
            if not said.endswith(":"):
                said = section.heading
            if not said or not _FEWEST <= len(items) <= _MOST or said.endswith("?"):
                continue
            start, end = items[0].start, items[-1].end
            if end - start > 2 * LONGEST:
                continue
            are = _ARE.match(said)
            asked = said.rstrip(":").split(". ")[-1]
            question = phrases.what_are.format(are["what"][0].lower() + are["what"][1:]) if are else phrases.list_of.format(asked)
            answer = "\n".join(f"- {flat(reading.text[item.start : item.end])}" for item in items)
            yield Draft(question, answer, start, end, section.heading)


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
