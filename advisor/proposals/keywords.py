"""A line of plain words -> the kind of thing a model should do, or the question which of them it is.

Invariants: nothing is guessed: two kinds, no kind, or something that is not possible is asked about; the same words always give the same.
"""

from __future__ import annotations

import re

from advisor.proposals.kinds import KINDS, KindName
from loralab.core.records import Record

# Words that name a kind, as regular expressions of whole words. What is only read, as “essays” or “answers” may be, names none.
MADE = r"poems?|poetry|stor(y|ies)|novels?|lyrics|songs?|slogans?|essays?|newsletters?|blog \w+|speech(es)?"
WORDS: dict[KindName, str] = {
    "answer": r"answer(s|ing)? (like|as|in|for|to|about|my|our|the|their|questions?|customers?|people|e?mails?)|"
    r"repl(y|ies|ying) (like|as|in|for|to)|respond(s|ing)? (like|as|to)|chat ?bots?|bots?|faq|tutor",
    "sort": r"sort(s|ed|ing)?|classif\w*|categor\w*|label(l?ed|l?ing)|tag(ged|ging)|triage\w*|spam|sentiment|moderat(e|es|ing)|yes or no",
    "extract": r"extract\w*|json|pars(e|es|ing)|p(ick|ull)s? out|find(s|ing)? (all |the )*(names|dates|amounts|numbers|addresses|prices)",
    "summarise": r"summar(y|ies|i[sz]\w+)|shorten\w*|condens(e|es|ing)|tl;?dr|key points|bullet points|make \w+ shorter",
    "translate": r"translat(e|es|ing|ion|ions)|rephras\w*|paraphras\w*|reword\w*|rewrit(e|es|ing)|simplif\w*|in(to)? other words",
    "code": r"code|coding|sql|python|javascript|java|cobol|html|bash|regex\w*|formulas?|scripts?|program(s|ming)?|commands?",
    "write": rf"(writ(e|es|ing)|compos(e|es|ing)|draft(s|ing)?|invent(s|ing)?) (\w+ ){{0,3}}({MADE})|in the style of|writes? like|poet",
}
# What cannot be taught here, and the sentence about it.
NOT_POSSIBLE = {
    r"pictures?|photos?|photographs?|images?|drawings?|paintings?|logos?|x-?rays?|screenshots?|handwriting": (
        "Pictures: not yet. Text: yes."
    ),
    r"videos?|animations?": "Videos: not yet. Text: yes.",
    r"audio|voices?|music|podcasts?|sing(s|ing)?|transcrib\w*|speech recognition": "Sound: not yet. Text: yes.",
    r"(stock|share)s? (price|market)s?|stocks|bitcoin|crypto\w*|lottery|forecast\w*|weather|(predict|foresee|foretell)\w*": (
        "Forecasts of prices, numbers or events: no, a language model cannot do that. Text: yes."
    ),
}


class Understood(Record):
    """What a line of words was read as: a kind, or which kinds to ask about, and why, in a sentence."""

    kind: KindName | None = None
    ask: tuple[KindName, ...] = ()
    words: str = ""


def understand(text: str) -> Understood:
    """The kind that the words name; where they name none or several, or something impossible, what to ask."""
    said = " ".join(text.lower().split())
    for words, sentence in NOT_POSSIBLE.items():
        if _named(words, said):
            return Understood(ask=tuple(KINDS), words=f"{sentence} If you have texts, choose what it should do with them.")
    found: list[KindName] = [kind for kind, words in WORDS.items() if _named(words, said)]
    if len(found) == 1:
        return Understood(kind=found[0])
    if found:
        return Understood(ask=tuple(found), words="That could mean more than one thing. Which is it?")
    return Understood(ask=tuple(KINDS), words="I am not sure what it should do. Please choose.")


def _named(words: str, said: str) -> bool:
    return re.search(rf"(?<!\w)(?:{words})(?!\w)", said) is not None
