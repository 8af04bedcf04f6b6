"""Stories: how a chapter begins, how it goes on after some words of it, and who says what. A story is asked nothing as knowledge."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from loralab.datasets.synthesis.makers import LONGEST, Draft, Reading, inner
from loralab.datasets.synthesis.makers.dialogue import speech, whole
from loralab.datasets.synthesis.makers.headings import NUMBERED
from loralab.datasets.synthesis.makers.phrases import Phrases
from loralab.datasets.synthesis.passages.blocks import Block, flat, sentences

_NAME = r"(?P<who>(?:(?:the|der|die|das|le|la|el) )?[A-ZÄÖÜ][\wäöüß’-]+(?: [A-ZÄÖÜ][\wäöüß’-]+)?)"
_VERBS = (
    r"(?:said|asked|replied|cried|answered|remarked|whispered|shouted|exclaimed|sagte|rief|fragte|antwortete|sprach|meinte"
    r"|flüsterte|dit|demanda|dijo|preguntó)"
)
_AFTER = re.compile(rf"[,.!?…]?[”“\"«»’],? (?:{_VERBS} {_NAME}|{_NAME.replace('who', 'whom')} {_VERBS})\b")
_NO_ONE_TEXT = "he she it they i we you er sie es ich wir ihr il elle él ella"
_NO_ONE = frozenset(_NO_ONE_TEXT.split())
_BYLINE = re.compile(
    r"(?:by|von|par|por|retold|translated|übersetzt|erzählt|(?:an? |eine? )?(?:novel|tale|story|märchen|roman|erzählung|sage))\b",
    re.IGNORECASE,
)
_SHORTEST, _CUE = 80, 200  # characters of what goes on, and of the words it goes on after
_FEWEST_WORDS = 4  # of a speech that can be told from others


def make(reading: Reading) -> Iterator[Draft]:
    """Only of texts in which people speak."""
    if not reading.is_story or not (phrases := reading.phrases):
        return
    before = ""
    for section in reading.sections:
        told = [one for one in section.blocks if one.kind == "para"]
        title = NUMBERED.sub("", section.heading).strip(" .:")
        if not title and len(told) == 1 and told[0].end - told[0].start <= _SHORTEST:
            title, told = flat(reading.text[told[0].start : told[0].end]), []  # the title, which stands over a line that says by whom
        title, before = (before if before and _BYLINE.match(title) else title), ("" if told else title)
        if title and told and not section.goes_on and told[0].end - told[0].start >= _SHORTEST:
            held = [one for one in told if one.end - told[0].start <= LONGEST][:2] or told[:1]
            yield Draft(phrases.begins.format(title), reading.shown(held), told[0].start, held[-1].end, title)
        yield from _on(reading, told, title, phrases)
    yield from _says(reading, phrases)


def _on(reading: Reading, told: list[Block], title: str, phrases: Phrases) -> Iterator[Draft]:
    """What follows a paragraph's last sentence. Every second one, so that no answer is the next one's cue."""
    for first, second in zip(told[::2], told[1::2], strict=False):
        start, end = list(sentences(reading.text, first.start, first.end))[-1]
        cue = flat(reading.text[start:end])
        if second.end - second.start >= _SHORTEST and 15 <= len(cue) <= _CUE and second.end - second.start <= 2 * LONGEST:
            yield Draft(phrases.goes_on.format(inner(cue)), reading.shown([second]), second.start, second.end, title)


def _says(reading: Reading, phrases: Phrases) -> Iterator[Draft]:
    """Who says it, where the paragraph names one person behind the words, and nobody else says the same."""
    found: list[tuple[str, Draft]] = []
    for section in reading.sections:
        for block in section.blocks:
            text = reading.text[block.start : block.end]
            parts, named = speech(text), _AFTER.search(flat(text))
            said = whole(parts)
            who = (named["who"] or named["whom"] or "") if named else ""
            if who and who.casefold() not in _NO_ONE and len(said.split()) >= _FEWEST_WORDS and len(said) <= _CUE:
                topic = NUMBERED.sub("", section.heading)
                found.append((said, Draft(phrases.says.format(inner(said)), f"{who[0].upper()}{who[1:]}.", block.start, block.end, topic)))
    times = Counter(said for said, _ in found)
    yield from (draft for said, draft in found if times[said] == 1)


MAKER = make
