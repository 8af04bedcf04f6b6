"""Gaps: a sentence with one number or name taken out. The answer is what stood there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from loralab.datasets.synthesis.makers import Draft, Reading

NUMBER = re.compile(
    r"(?<![\w.,:])(?:\d{1,2}:\d{2}(?::\d{2})?(?!\w)|[$€£]?\d[\d.,]*(?:\s?(?:%|percent|per cent|km|kg|cm|mm|m|g|°C|°F|kWh|MB|GB|years?"
    r"|days?|hours?|minutes?|million"
    r"|billion))?(?![\w:]))"
)
NAME = re.compile(r"\b[A-ZÄÖÜÉ][\w’'-]+(?:\s+(?:(?:of|the|von|van|de|del|la)\s+)?[A-ZÄÖÜÉ][\w’'-]+)*")
_LABEL = re.compile(r"\W?\w+(?: \w+)?: ")
_AT_QUOTE = "“\"„«»‘'"  # a name that begins what is quoted only has the capital of that
_SHORTEST, _LONGEST = 35, 260  # characters of a sentence
_FEWEST_WORDS = 6
GAP = "____"


def make(reading: Reading) -> Iterator[Draft]:
    """One gap a sentence: its last number, which is rarely a mere count, else the last name that does not begin it."""
    if not (phrases := reading.phrases):
        return
    for section, said, start, end in reading.sentences():
        if (
            not _SHORTEST <= len(said) <= _LONGEST
            or len(said.split()) < _FEWEST_WORDS
            or not _is_whole(said)
            or not reading.stands_alone(said)
        ):
            continue
        if reading.refers_back(said, start, section.heading):
            continue
        found = _last(NUMBER, said) or (_last(NAME, said) if reading.language != "de" else None)
        if not found:
            continue
        hidden = found[0].rstrip(".,")
        if said.count(hidden) == 1:
            asked = f"{said[: found.start()]}{GAP}{said[found.start() + len(hidden) :]}"
            yield Draft(phrases.gap.format(asked), hidden, start, end, section.heading)


def _is_whole(said: str) -> bool:
    """Whether it is a sentence from its beginning to its full stop, and not a question, speech or a label with what it labels."""
    return said.endswith((".", "!", ".”", ".)")) and said[:1] not in '“"„«»‘' and not _LABEL.match(said)


def _last(pattern: re.Pattern[str], said: str) -> re.Match[str] | None:
    """The last match behind the sentence's first word."""
    begun = said.find(" ")
    found = [one for one in pattern.finditer(said, max(0, begun)) if len(one[0].strip(".,")) > 1 or one[0].isdigit()]
    found = [one for one in found if said[one.start() - 1] not in _AT_QUOTE and said[max(0, one.start() - 2)] not in ".!?:"]
    return found[-1] if found else None


MAKER = make
