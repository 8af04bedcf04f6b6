"""Definitions: “Osmosis is the movement …”, “API: a way for programs to …”. The whole sentence is the answer."""

from __future__ import annotations

import re
from collections.abc import Iterator

from loralab.datasets.synthesis.makers import Draft, Reading
from loralab.datasets.synthesis.makers.phrases import Phrases
from loralab.datasets.synthesis.passages.blocks import flat

_GLOSSARY = re.compile(r"^(?:\*\*|__)?(?P<term>[^\W\d_][^\n:.;?!*]{1,50}?)(?:\*\*|__)?(?:\s*:(?:\*\*)?|\s+[–—-])\s+(?P<said>\S[^\n]{19,})$")
_MOST_WORDS, _MOST_TERM = 6, 4
_LONGEST = 400
_PLURAL = re.compile(r"^(?:are|sind|sont|son)\b")
_SAID_TEXT = (
    "note example warning tip see source figure q a question answer credit photo author date time place price phone email"
    " address by from to"
    " cc subject website tel fax hours hinweis beispiel frage antwort quelle tabelle abbildung merke achtung foto autor datum ort preis"
    " telefon anschrift betreff"
)
_SAID = frozenset(_SAID_TEXT.split())
_FEW_WORDS = 3  # of the meaning


def make(reading: Reading) -> Iterator[Draft]:
    """From sentences, and from lines that set a term before its meaning."""
    if not (phrases := reading.phrases):
        return
    for section, said, start, end in reading.sentences():
        if len(said) > _LONGEST or said.endswith("?") or not reading.stands_alone(said) or not (found := phrases.definition.match(said)):
            continue
        term, article = found["term"].strip(), found["article"] or ""
        if _is_term(term, phrases):
            many = bool(_PLURAL.match(found["verb"]))
            asked = f"{article.lower() + ' ' if article and not many else ''}{_in_sentence(term, article)}"
            yield Draft((phrases.what_are if many else phrases.what_is).format(asked), said, start, end, section.heading or term)
    for section in reading.sections:
        for block in section.blocks:
            found = _GLOSSARY.match(flat(reading.text[block.start : block.end]))
            if found and _explains(found["term"], found["said"], phrases):
                yield Draft(phrases.means.format(found["term"]), found["said"], block.start, block.end, section.heading or found["term"])


def _explains(term: str, said: str, phrases: Phrases) -> bool:
    """Whether a line sets a term before its meaning, and not a speaker, a label or the beginning of a sentence before the rest."""
    words = term.casefold().split()
    named = _is_term(term, phrases) and len(words) <= _MOST_TERM and not _SAID & {words[0], words[-1]}
    return named and not re.search(r"[?]$|[.!?] \w", said) and len(said.split()) >= _FEW_WORDS and said[:1] not in '“"„«»'


def _is_term(term: str, phrases: Phrases) -> bool:
    words = term.split()
    return 0 < len(words) <= _MOST_WORDS and words[0].casefold() not in phrases.not_terms and "," not in term and len(term) > 1


def _in_sentence(term: str, article: str) -> str:
    """The term as it stands within a sentence: behind no article its capital letter may only be the sentence's."""
    first = term.split(maxsplit=1)[0]
    return term if article or len(first) < 2 or not first[1:].islower() or len(term.split()) > 1 else term[0].lower() + term[1:]


MAKER = make
