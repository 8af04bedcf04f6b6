"""A heading and what stands under it: what is there to know about “Photosynthesis”? The section's first paragraphs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from loralab.datasets.synthesis.makers import LONGEST, Draft, Reading

NUMBERED = re.compile(r"^(?:(?:\d{1,2}\.)*\d{1,2}\.?|[IVXLC]{1,6}\.|(?:chapter|kapitel|part|teil)\s+[\divxlc]{1,6}[.:]?)\s+", re.IGNORECASE)
# Headings that name a part of any document and nothing that a person would ask about.
_OF_FORM = re.compile(
    r"(?:chapter|part|kapitel|teil|chapitre|capítulo|book|page|section)\s*[\divxlc]*\W*$|introduction|preface|foreword|prologue|epilogue|overview|abstract"
    r"|(?:chapter |section )?summary|conclusions?|appendix|faqs?|frequently asked questions|key (?:terms|points|takeaways"
    r"|concepts)|glossary|making connections"
    r"|link to learning|try it|example(?: \d.*)?|note|tip|warning|important|vorwort|einleitung|zusammenfassung|fazit|überblick"
    r"|anhang|glossar|begriffe"
    r"|(?:the )?end|ende|häufige fragen|beispiel|hinweis|merke|discussion|results|methods|background|other|more|miscellaneous|sonstiges",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[.!?…][”\"’)]?(?:\s|$)")
_FEWEST = 60  # characters that say something


def make(reading: Reading) -> Iterator[Draft]:
    """One for each section with a telling heading and running text."""
    for section in reading.sections:
        title = NUMBERED.sub("", section.heading).strip(" .:")
        if not title or _OF_FORM.fullmatch(title) or title.endswith("?") or len(title) < 3:
            continue
        at = next((place for place, block in enumerate(section.blocks) if block.kind == "para"), len(section.blocks))
        held = list(section.blocks[at : at + 1])
        for block in section.blocks[at + 1 :]:
            if block.end - held[0].start > LONGEST:
                break
            held.append(block)
        if len(held) < len(section.blocks) - at and held and reading.text[held[-1].start : held[-1].end].endswith(":"):
            held.pop()  # it leads to what there is no room for
        if any(reading.text[block.start : block.end].rstrip().endswith("?") for block in held[:1]):
            continue
        answer = reading.shown(held)
        if len(answer) >= _FEWEST and _SENTENCE.search(answer) and not answer[:1].islower() and answer[-1:] not in (":", "?"):
            question = reading.phrases.explain.format(title) if reading.phrases else title
            yield Draft(question, answer, held[0].start, held[-1].end, title)


MAKER = make
