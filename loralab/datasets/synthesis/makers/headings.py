"""A heading and what stands under it: what is there to know about “Photosynthesis”? The section's first paragraphs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from loralab.datasets.synthesis.makers import LONGEST, Draft, Reading
from loralab.datasets.synthesis.passages.blocks import flat

_NUMBERED = re.compile(r"^(?:(?:\d{1,2}\.)*\d{1,2}\.?|[IVXLC]{1,6}\.)\s+")
# Headings that name a part of any document and nothing that a person would ask about.
_OF_FORM = re.compile(
    r"(?:chapter|part|kapitel|teil|chapitre|capítulo|book|page|section)\s*[\divxlc]*\W*$|(?:table of )?contents|index|references"
    r"|bibliography|"
    r"acknowledge?ments?|introduction|preface|foreword|summary|conclusion|appendix|notes|faq|inhalt|vorwort|einleitung",
    re.IGNORECASE,
)
_FEWEST = 60  # characters that say something


def make(reading: Reading) -> Iterator[Draft]:
    """One for each section with a telling heading and running text."""
    for section in reading.sections:
        title = _NUMBERED.sub("", section.heading).strip(" .:")
        if not title or _OF_FORM.fullmatch(title) or title.endswith("?") or len(title) < 3:
            continue
        paragraphs = [block for block in section.blocks if block.kind == "para"]
        if not paragraphs:
            continue
        start = end = paragraphs[0].start
        for block in section.blocks:
            if block.start < start:
                continue
            if block.end - start > LONGEST and end > start:
                break
            end = block.end
        answer = reading.text[start:end].strip()
        if len(answer) < _FEWEST:
            continue
        question = reading.phrases.explain.format(title) if reading.phrases else title
        yield Draft(question, _shown(answer), start, end, title)


def _shown(text: str) -> str:
    """Paragraphs as paragraphs, lines that only wrapped put together."""
    return "\n\n".join(flat(part) if "\n-" not in part else part for part in re.split(r"\n\s*\n", text))


MAKER = make
