"""Owns the forms: in what way a new row comes of old ones, and the words a writer is told. Pure data and the cutting of one field."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from loralab.datasets.synthesis.rows import MadeRow

VERSION = "1"  # of these words: stands in the provenance of every row
LINE, PARAGRAPH = 60, 220  # tokens of an answer that is a line, a paragraph

Speak = Callable[[str, int], str]  # a prompt and how many tokens the answer may have -> the answer
_LABEL = re.compile(
    r"^\W{0,3}(?:new |the |rewritten |harder |similar )?(?:question|answer|instruction|message|text|q|a|quote|sentence)\s*\d*\s*[:.)-]\s*",
    re.IGNORECASE,
)
_OPENING = re.compile(r"^(?:sure|certainly|of course|here(?:'s| is| are))\b[^\n:]{0,80}[:!]\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Told:
    """What a form may use: seeds (the first is the one that is varied), a passage, how long, and wishes."""

    seeds: Sequence[MadeRow]
    topic: str = ""
    length: str = "medium"
    passage: str = ""
    tone: str = ""
    language: str = ""
    label: str = ""
    other_label: str = ""
    lead: str = ""  # what a domain wants to be said first


@dataclass(frozen=True)
class Written:
    """The fields that came back."""

    question: str
    answer: str
    evidence: str = ""


Form = Callable[[Speak, Told], Written | None]
LENGTHS: Mapping[str, str] = {"short": "in one short sentence", "medium": "in one to three sentences", "long": "in a full paragraph"}


def field(said: str, *, lines: bool = False) -> str:
    """The one field of an answer, without what a writer puts around it: labels, quotation marks, a friendly opening."""
    text = _OPENING.sub("", said.strip())
    text = text if lines else text.split("\n")[0]
    text = _LABEL.sub("", text.strip()).split("\nQuestion:")[0].strip()
    if len(text) > 1 and text[0] in "“\"'«" and text[-1] in "”\"'»":
        text = text[1:-1].strip()
    return text


def _shown(seeds: Sequence[MadeRow]) -> str:
    return "\n\n".join(f"Question: {row.question}\nAnswer: {row.answer}" for row in seeds)


def _answered(speak: Speak, told: Told, question: str) -> Written | None:
    """An answer to a new question, in the way of the seeds."""
    if not question or len(question) > 500:
        return None
    prompt = (
        f"{told.lead}Answer the last question {LENGTHS[told.length]}, in the same way as the others.\n\n{_shown(told.seeds)}\n\nQuestion: "
        f"{question}\nAnswer:"
    )
    return Written(question, field(speak(prompt, PARAGRAPH), lines=True))


def more(speak: Speak, told: Told) -> Written | None:
    """A new question like the seeds, then its answer."""
    about = f" It is about: {told.topic}." if told.topic else ""
    prompt = (
        f"{told.lead}Here are questions from one collection. Write one new question that would fit in, about something else.{about} Write "
        f"only the question.\n\n"
    )
    return _answered(speak, told, field(speak(prompt + "\n".join(f"- {row.question}" for row in told.seeds) + "\n\nNew question:", LINE)))


def paraphrase(speak: Speak, told: Told) -> Written | None:
    """The first seed's question in other words; its answer stays."""
    seed = told.seeds[0]
    said = speak(
        f"{told.lead}Write this question in other words, with the same meaning. Write only the question.\n\n{seed.question}\n\nIn other "
        f"words:",
        LINE,
    )
    return Written(field(said), seed.answer, seed.evidence)


def reverse(speak: Speak, told: Told) -> Written | None:
    """A question to which the first seed's answer is the answer, without seeing the question."""
    seed = told.seeds[0]
    said = speak(f"{told.lead}Which question does this text answer? Write only the question.\n\n{seed.answer}\n\nQuestion:", LINE)
    return Written(field(said), seed.answer, seed.evidence)


def harder(speak: Speak, told: Told) -> Written | None:
    """A harder question about the same thing, then its answer."""
    said = speak(
        f"{told.lead}Write one harder question about the same thing. Write only the question.\n\n{told.seeds[0].question}\n\nHarder "
        f"question:",
        LINE,
    )
    return _answered(speak, told, field(said))


def shorter(speak: Speak, told: Told) -> Written | None:
    """The first seed's answer in fewer words."""
    seed = told.seeds[0]
    said = field(
        speak(f"{told.lead}Say this in one short sentence and leave nothing out that matters.\n\n{seed.answer}\n\nShort:", LINE), lines=True
    )
    return Written(f"{seed.question} (in short)", said) if len(said) < len(seed.answer) else None


def tone(speak: Speak, told: Told) -> Written | None:
    """The first seed's answer in another tone."""
    seed = told.seeds[0]
    wanted = told.tone or "friendly and simple"
    said = speak(f"{told.lead}Write this answer in a {wanted} tone, with the same content.\n\n{seed.answer}\n\nRewritten:", PARAGRAPH)
    return Written(seed.question, field(said, lines=True))


def language(speak: Speak, told: Told) -> Written | None:
    """The first seed in another language, a field at a time."""
    if not told.language:
        return None
    seed = told.seeds[0]
    parts = [
        field(speak(f"Translate into {told.language}. Write only the translation.\n\n{text}\n\nTranslation:", PARAGRAPH), lines=True)
        for text in (seed.question, seed.answer)
    ]
    return Written(parts[0], parts[1])


def from_passage(speak: Speak, told: Told) -> Written | None:
    """A question to a passage, its answer, and the sentence the answer stands in, each asked for alone."""
    if not told.passage:
        return None
    text = f"{told.lead}Text:\n{told.passage}\n\n"
    question = field(speak(f"{text}Write one question that this text answers. Write only the question.\n\nQuestion:", LINE))
    if not question:
        return None
    answer = field(speak(f"{text}Question: {question}\nAnswer from the text, {LENGTHS[told.length]}.\n\nAnswer:", PARAGRAPH), lines=True)
    quote = field(
        speak(f"{text}Question: {question}\nCopy the one sentence of the text that answers it, word for word.\n\nSentence:", PARAGRAPH)
    )
    return Written(question, answer, quote)


def balance(speak: Speak, told: Told) -> Written | None:
    """Another text of a class that has few."""
    like = "\n".join(f"- {row.question}" for row in told.seeds if row.answer == told.label)
    said = speak(
        f"{told.lead}These texts are all “{told.label}”. Write one more of the same kind. Write only the text.\n\n{like}\n\n-", LINE
    )
    return Written(field(said).lstrip("- "), told.label)


def negatives(speak: Speak, told: Told) -> Written | None:
    """A text of one class that looks like one of another: what such a model gets wrong."""
    like = "\n".join(f"- {row.question}" for row in told.seeds if row.answer == told.other_label)
    ask = (
        f"{told.lead}These texts are “{told.other_label}”. Write one text that uses similar words but is “{told.label}”. Write only the "
        f"text.\n\n{like}\n\n-"
    )
    return Written(field(speak(ask, LINE)).lstrip("- "), told.label)


FORMS: dict[str, Form] = {
    "more": more,
    "paraphrase": paraphrase,
    "reverse": reverse,
    "harder": harder,
    "shorter": shorter,
    "tone": tone,
    "language": language,
    "from_passage": from_passage,
    "balance": balance,
    "negatives": negatives,
}
CALLS = {"more": 2, "harder": 2, "language": 2, "from_passage": 3}  # of the others one
QUOTES = ("paraphrase", "reverse")  # whose answer is the seed's own
OF_CLASSES = ("balance", "negatives")
