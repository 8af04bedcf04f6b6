"""Owns what a person's wish means: “answer like our support team, in German, short” -> a kind of task, a language, a length, a pace.

Invariants: the same words always give the same wish; what was not said is not guessed (an empty string); nothing is read but the wish.
"""

from __future__ import annotations

import re
from typing import Literal

from loralab.records import Record

Task = Literal["answer", "sort", "extract", "summarise", "translate", "code", "write"]
Length = Literal["", "short", "long"]
Pace = Literal["", "quick", "best"]

# What people call it, by kind of task: regular expressions over lower-case words. The weight tells how sure a word is.
SIGNS: dict[Task, tuple[tuple[str, float], ...]] = {
    "sort": (
        (r"classif\w*|categori[sz]\w*|klassifizier\w*|clasific\w*|classer\w*|einordne\w*|zuordne\w*", 3),
        (r"sort\w*|label\w*|tag(s|ging|ged)?|triage\w*|rout(e|es|ing)|assign\w*|flag(s|ged|ging)?|detect\w*|recogni[sz]e\w*|erkenn\w*", 2),
        (r"spam|sentiment\w*|intent(s|ion)?|topics?|urgen(t|cy)|priorit\w*|toxic\w*|positive|negative", 2),
        (r"which (department|team|class|kind|category)|into (groups|classes|kinds)|rate (them|it|each)|scores? (from|each)", 2),
        (r"yes or no|true or false|right or wrong|is it (a|an)|whether", 2),
    ),
    "extract": (
        (r"extract\w*|pull (out )?(the|all|names|dates)|parse\w*|json|structured|fill (in )?(a|the|our) form|extrahier\w*|herausles\w*", 3),
        (r"fields?|invoices?|receipts?|entities|names and dates|key.?value|table (from|out of)|find (all |the )*(names|dates|amounts)", 2),
    ),
    "summarise": (
        (r"summar\w*|tl;?dr|condens\w*|key points|bullet points|zusammenfass\w*|fass\w* .*zusammen|résum\w*|resum\w*", 3),
        (r"shorten\w*|boil\w* down|minutes (of|from)|abstracts?|headlines?|gist|in a nutshell|abridge\w*|digest", 2),
    ),
    "translate": (
        (r"translat\w*|übersetz\w*|tradui\w*|traduc\w*|(from|out of) \w+ (in)?to (english|german|french|spanish|italian|\w+ish|\w+ese)", 3),
        (r"into (english|german|french|spanish|italian|dutch|polish|latin|(plain|simple) \w+)|dialect|rewrite .* in (another|plain)", 2),
    ),
    "code": (
        (r"\bcode\b|coding|program(s|ming)?\b|python|javascript|typescript|sql|regex\w*|bash|shell commands?|rust|java|c\+\+|html|css", 3),
        (r"functions?|docstrings?|commit messages?|unit tests?|quer(y|ies)|scripts?|api calls?|bug ?fix\w*|refactor\w*|stack ?traces?", 2),
    ),
    "write": (
        (r"(write|sound|speak|talk|text|type)s? (just )?like|in (the|my|our) (style|voice|tone) of|style of|imitat\w*|mimic\w*", 3),
        (r"poe(m|ms|t|try)|stor(y|ies)|novel\w*|lyrics|haikus?|sonnets?|fairy ?tales?|gedicht\w*|shakespeare|fan ?fiction|screenplay", 3),
        (r"continue\w*|my (own )?(writing|voice|style|blog|diary|letters)|blog ?posts?|newsletters?|slogans?|tweets?|speech(es)?", 2),
    ),
    "answer": (
        (r"answer\w*|repl(y|ies|ying)|respond\w*|chat\w*|assistant|bot\b|antwort\w*|répond\w*|respuest\w*|contest(a|ar)\w*", 2),
        (r"support|help ?desk|customers?|faq|questions?|tutor\w*|teach\w*|explain\w*|advi[cs]e|coach\w*|guide|erklär\w*|kunden\w*", 1.5),
    ),
}  # fmt: skip
FIRST = 1.5  # times: the kind of task that is named first is the one that is meant; what follows tells how

LANGUAGES: dict[str, str] = {
    "english": "English", "englisch": "English", "german": "German", "deutsch": "German", "french": "French", "français": "French",
    "französisch": "French", "spanish": "Spanish", "español": "Spanish", "spanisch": "Spanish", "italian": "Italian", "italiano": "Italian",
    "portuguese": "Portuguese", "português": "Portuguese", "dutch": "Dutch", "nederlands": "Dutch", "polish": "Polish", "polski": "Polish",
    "turkish": "Turkish", "türkçe": "Turkish", "russian": "Russian", "ukrainian": "Ukrainian", "arabic": "Arabic", "hindi": "Hindi",
    "chinese": "Chinese", "mandarin": "Chinese", "japanese": "Japanese", "korean": "Korean", "swedish": "Swedish", "danish": "Danish",
    "norwegian": "Norwegian", "finnish": "Finnish", "czech": "Czech", "greek": "Greek", "hebrew": "Hebrew", "latin": "Latin",
    "vietnamese": "Vietnamese", "indonesian": "Indonesian", "romanian": "Romanian", "hungarian": "Hungarian", "thai": "Thai",
}  # fmt: skip
# Words that a wish in a language holds even where the language is not named.
TELLTALE = {
    "German": r"\b(antworte|wie unser|bitte|unser|unsere|auf|kurz|und|ein|eine|soll)\b",
    "French": r"\b(réponds|comme|notre|nos|avec|courte?s?|les|une|doit)\b",
    "Spanish": r"\b(responde|como|nuestro|nuestra|para|corto|los|una|debe)\b",
}
SHORT = r"\b(short\w*|brief\w*|concise\w*|terse|(one|two) (sentence|word|line)s?|few words|kurz\w*|knapp\w*|courte?s?|cort[oa]s?)\b"
LONG = (
    r"\b(long|longer|detailed|in detail|thorough\w*|step by step|whole (page|article)s?|essays?|ausführlich\w*|détaillé\w*|detallad\w*)\b"
)
QUICK = r"\b(quick\w*|fast|minutes|right now|just to try|try (it )?out|demo|test drive|schnell\w*|vite|rápid\w*)\b"
BEST = r"\b(best|as good as possible|high(est)? quality|overnight|take your time|accura\w+|serious\w*|production)\b"


class Wish(Record):
    """What a person wants, as far as they said it."""

    text: str
    task: Task
    sure: bool = True  # False: no word told the kind of task, or two were as likely
    language: str = ""  # English name of the language it shall write
    length: Length = ""
    pace: Pace = ""


def understand(text: str) -> Wish:
    """The wish behind a sentence."""
    said = re.sub(r"\s+", " ", text.lower()).strip()
    scores = {task: _score(said, signs) for task, signs in SIGNS.items()}
    first = min((at for _, at in scores.values() if at >= 0), default=-1)
    weighed = {task: weight * (FIRST if at == first else 1.0) for task, (weight, at) in scores.items()}
    ranked: list[Task] = sorted(SIGNS, key=lambda task: -weighed[task])
    best: Task = ranked[0] if weighed[ranked[0]] else "answer"
    return Wish(
        text=text.strip(), task=best, sure=weighed[ranked[0]] > weighed[ranked[1]], language=_language(said, best),
        length="short" if re.search(SHORT, said) else "long" if re.search(LONG, said) else "",
        pace="quick" if re.search(QUICK, said) else "best" if re.search(BEST, said) else "",
    )  # fmt: skip


def _score(said: str, signs: tuple[tuple[str, float], ...]) -> tuple[float, int]:
    """Weight of all signs that are there, each counted once, and where the first of them is (-1: nowhere)."""
    found = [(weight, match.start()) for pattern, weight in signs if (match := re.search(rf"\b({pattern})", said))]
    return sum(weight for weight, _ in found), min((at for _, at in found), default=-1)


def _language(said: str, task: Task) -> str:
    named = [(match.start(), name) for word, name in LANGUAGES.items() if (match := re.search(rf"\b{word}\b", said))]
    if named and task == "translate":  # into the last one that is named
        return max(named)[1]
    if named:
        return min(named)[1]
    telling = {name: len(re.findall(pattern, said)) for name, pattern in TELLTALE.items()}
    best = max(telling, key=lambda name: telling[name])
    return best if telling[best] >= 2 else ""
