"""Facts that one sentence says in a form that can be turned into a question: when, where, who, how many, what it costs. English only."""

from __future__ import annotations

import re
from collections.abc import Iterator

from loralab.datasets.synthesis.makers import Draft, Reading
from loralab.datasets.synthesis.makers.phrases import PHRASES

_WHO = r"(?P<who>(?:The |the |An? )?[A-Z0-9][^,;:()]{1,60}?)"
_DATE = (
    r"(?P<what>(?:in|on|around|about|since|by)\s+(?:(?:early|late|mid)[- ])?(?:\d{1,2}(?:st|nd|rd"
    r"|th)?\s+)?(?:(?:of\s+)?[A-Z][a-z]+\s+)?(?:\d{1,2},?\s+)?\d{3,4}s?)"
)
_DONE = r"(?P<done>(?:first |officially |originally )?[a-z]+(?:ed|en|wn|lt|nt|un|ld|ht|orn|ade|ung|et|ut|id))"
_BE = r"(?P<be>is|are|was|were)"
_NUMBER_OF = r"(?P<what>(?:about |around |over |up to )?[\d.,]+ (?P<noun>[^\d.;,]{2,40}))"
_MADE = r"(?P<did>discovered|invented|wrote|founded|built|designed|painted|composed|developed|created|introduced)"
_ATTRIBUTE = r"^The (?P<attr>[a-z][a-z -]{2,40}?) (?P<of>of|for|in) (?P<who>(?:the )?[^,;:.]{2,50}?)"


def _form(pattern: str, *questions: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    return re.compile(pattern), questions


FORMS = (
    _form(rf"^{_WHO} {_BE} {_DONE}(?: (?P<rest>[^.;]{{0,50}}?))? {_DATE}\b", "When {be} {who} {done}{rest}?"),
    _form(rf"^{_WHO} {_BE} {_DONE} by (?P<what>[^.;]{{3,80}})", "By {whom} {be} {who} {done}?"),
    _form(rf"^{_WHO} {_BE} {_DONE} (?:in|at|on|near) (?P<what>[A-Z][^.;]{{2,60}})", "Where {be} {who} {done}?"),
    _form(rf"^{_WHO} (?:lies|stands|lives|is|are) (?:in|at|on|near|between) (?:the )?(?P<what>[A-Z][^.;]{{2,60}})", "Where is {who}?"),
    _form(rf"^{_WHO} (?:has|have|contains?|holds?|covers?) {_NUMBER_OF}", "How many {noun} does {who} have?"),
    _form(rf"^{_WHO} costs? (?P<what>[^.;]{{2,40}})", "How much does {who} cost?"),
    _form(rf"^{_WHO} weighs? (?P<what>[^.;]{{2,40}})", "How much does {who} weigh?"),
    _form(rf"^{_WHO} (?P<verb>open|begin|start|close|end)s (?:at|on|in) (?P<what>[^.;]{{2,40}})", "When does {who} {verb}?"),
    _form(rf"{_ATTRIBUTE} {_BE} (?P<what>[^.;]{{1,80}})", "What {be} the {attr} {of} {who}?"),
    _form(rf"^{_WHO} {_MADE} (?P<what>[^.;]{{3,90}})", "Who {did} {what}?", "What was {past} by {who}?"),
)
_NOT = PHRASES["en"].not_terms
_LONGEST = 300  # characters of a sentence
_PARTICIPLES = {"wrote": "written"}  # where it is not the past tense itself


def make(reading: Reading) -> Iterator[Draft]:
    """The whole sentence is the answer, so that it can be checked against the document word for word."""
    if reading.language not in ("", "en"):
        return
    for section, said, start, end in reading.sentences():
        alone = len(said) <= _LONGEST and reading.stands_alone(said) and not reading.refers_back(said, start, section.heading)
        for question in _asked(said) if alone and not said.endswith("?") else ():
            yield Draft(question, said, start, end, section.heading)


def _asked(said: str) -> list[str]:
    """The questions that a sentence answers."""
    for pattern, questions in FORMS:
        found = pattern.match(said)
        if found and found["who"].split()[0].casefold() not in _NOT:
            parts = {name: (value or "").rstrip(".") for name, value in found.groupdict().items()}
            parts["who"] = _within(parts["who"])
            parts["rest"] = f" {parts['rest']}" if parts.get("rest") else ""
            parts["whom"] = "whom" if re.match(r"(?:the |a |an )?[A-Z]", parts.get("what", "")) else "what"
            parts["past"] = _PARTICIPLES.get(parts.get("did", ""), parts.get("did", ""))
            return [question.format(**parts) for question in questions]
    return []


def _within(who: str) -> str:
    """A subject as it stands within a sentence."""
    return who[0].lower() + who[1:] if who.split(maxsplit=1)[0] in ("The", "A", "An") else who


MAKER = make
