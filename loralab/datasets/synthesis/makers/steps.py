"""Steps: numbered items under a heading or a lead. All of them in their order, and which comes after which."""

from __future__ import annotations

import re
from collections.abc import Iterator

from loralab.datasets.synthesis.makers import LONGEST, Draft, Reading, inner
from loralab.datasets.synthesis.makers.headings import NUMBERED
from loralab.datasets.synthesis.makers.lists import runs
from loralab.datasets.synthesis.passages.blocks import flat

_HOW = re.compile(r"^(?:how (?:do (?:i|you|we)|to|can (?:i|you))|to)\s+(?P<what>.+?)[?:,]*$", re.IGNORECASE)
_GENERIC = re.compile(
    r"\b(?:these|following|next|diese|folgenden?|suivantes|siguientes) (?:steps|schritte|étapes|pasos)|as follows", re.IGNORECASE
)
_ASKED = re.compile(r"^(?:how|wie|comment|cómo|¿cómo)\b.*\?$", re.IGNORECASE)
_FEWEST, _MOST, _LONG = 3, 25, 160


def make(reading: Reading) -> Iterator[Draft]:
    """Runs of at least three numbered items that count up from one."""
    if not (phrases := reading.phrases):
        return
    for section in reading.sections:
        for lead, items in runs(section.blocks, "number"):
            said = flat(reading.text[lead.start : lead.end]) if lead else ""
            title = said.rstrip(":").split(". ")[-1] if said.endswith(":") and not _GENERIC.search(said) else section.heading
            counted = items[0].number == 1 and _FEWEST <= len(items) <= _MOST
            title = NUMBERED.sub("", title)
            asks = any(reading.text[item.start : item.end].rstrip().endswith("?") for item in items)
            if not title or not counted or asks or items[-1].end - items[0].start > 2 * LONGEST:
                continue
            words = [flat(reading.text[item.start : item.end]) for item in items]
            how = _HOW.match(title) if reading.language in ("", "en") else None
            question = (
                title
                if _ASKED.match(title)
                else f"How do I {_in_sentence(how['what'])}?"
                if how
                else phrases.steps.format(title.rstrip("?"))
            )
            yield Draft(question, reading.shown(items), items[0].start, items[-1].end, section.heading)
            for at in range(len(items) - 1):
                if len(words[at]) <= _LONG:
                    yield Draft(
                        f"{title.rstrip('?:')}: {phrases.after.format(inner(words[at].rstrip('.')))}",
                        words[at + 1],
                        items[at].start,
                        items[at + 1].end,
                        section.heading,
                    )


def _in_sentence(title: str) -> str:
    """A title without its capitals where all of its longer words have one."""
    words = title.split()
    long = [word for word in words if len(word) > 3]
    return " ".join(word.lower() if word.istitle() else word for word in words) if long and all(word.istitle() for word in long) else title


MAKER = make
