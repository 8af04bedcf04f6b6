"""Owns what a model of the catalogue cannot do with some examples, in words. Invariant: silent about what is not known."""

from __future__ import annotations

from loralab.core.errors import Problem
from loralab.models.model_check import ModelEntry

LANGUAGES: dict[str, str] = {  # ISO 639-1 -> English name
    "ar": "Arabic",
    "bg": "Bulgarian",
    "bn": "Bengali",
    "ca": "Catalan",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "et": "Estonian",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "hr": "Croatian",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "ms": "Malay",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sk": "Slovak",
    "sl": "Slovenian",
    "sr": "Serbian",
    "sv": "Swedish",
    "ta": "Tamil",
    "te": "Telugu",
    "th": "Thai",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "vi": "Vietnamese",
    "zh": "Chinese",
}
NEEDS = {"write": "write texts of its own", "answer": "answer in sentences", "chat": "hold a conversation"}


def language_name(code: str) -> str:
    """The English name of a language; its code where there is none."""
    return LANGUAGES.get(code, code)


def knows(entry: ModelEntry, language: str) -> bool:
    """Whether a model knows a language, named in English."""
    return any(language_name(code) == language for code in entry.languages)


def languages_words(codes: tuple[str, ...], most: int = 4) -> str:
    """“English, Chinese, German and 35 more”."""
    names = [language_name(code) for code in codes]
    if len(names) <= most:
        return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else ""
    return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"


def cannot(entry: ModelEntry, language: str, need: str, typical: int = 0) -> tuple[Problem, ...]:
    """Why a model is the wrong one for examples: their `language` (ISO code), what they `need` of it, and tokens of a `typical` one."""
    found: list[Problem] = []
    if language and entry.languages and language not in entry.languages:
        what = f"{entry.title} knows {languages_words(entry.languages)}, and your examples are in {language_name(language)}."
        found.append(_wrong("wrong_language", what))
    if need in NEEDS and entry.good_for and need not in entry.good_for:
        small = f"is too small to {NEEDS[need]}: it can learn to sort, and little more than the tone of longer answers"
        old = "only continues texts: it never learned to answer"
        what = f"{entry.title} {old if entry.template == 'none' else small}."
        found.append(_wrong("wrong_kind", what))
    if typical > entry.context:
        what = f"{entry.title} reads at most {entry.context:,} word pieces at once, and half of your examples are longer than {typical:,}."
        found.append(_wrong("too_long", what))
    return tuple(found)


def _wrong(code: str, what: str) -> Problem:
    return Problem(code=code, what=what, todo="Choose a model that can.", severity="warning")
