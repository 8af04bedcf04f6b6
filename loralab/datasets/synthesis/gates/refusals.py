"""An answer in which a language model refuses, or speaks of itself, instead of answering."""

from __future__ import annotations

import re

from loralab.datasets.synthesis.gates import Gate, Yard, per_row
from loralab.datasets.synthesis.rows import MadeRow

_ANYWHERE = re.compile(
    r"\bas an? (?:ai|artificial intelligence|language model|large language model|virtual assistant|chatbot)\b|\bi(?:'|’)?a?m (?:just "
    r"|only )?an? "
    r"(?:ai|language model|large language model|virtual assistant|chatbot)\b|\bmy (?:training data|knowledge cut-?off|programming)\b"
    r"|\bopenai\b.{0,40}\b(?:policy|polic|guideline)|\bals (?:ki|künstliche intelligenz|sprachmodell)\b|\ben tant qu(?:e|’|')\s?(?:ia"
    r"|modèle de langage)"
    r"|\bcomo (?:ia|modelo de lenguaje|inteligencia artificial)\b",
    re.IGNORECASE,
)
_BEGINS = re.compile(
    r"^\W*(?:(?:i(?:'|’)?a?m|i am|we(?:'|’)re|we are) (?:really |very |so )?sorry\b.{0,60}\b(?:can(?:no|'|’)t|can not|unable|not able"
    r"|but i)|sorry,? (?:but )?i"
    r"|i (?:can(?:not|(?:'|’)t)|can not|am (?:unable|not able) to|won(?:'|’)t) (?:help|assist|answer|provide|fulfil|do that|comply"
    r"|discuss|generate|access)"
    r"|i (?:do not|don(?:'|’)t) have (?:access|enough information|personal|the ability)|i apologi[sz]e,? but|unfortunately,? i (?:can"
    r"|do|am)"
    r"|es tut mir leid,? (?:aber )?ich|tut mir leid,? (?:aber )?ich|ich kann (?:dir |ihnen )?(?:dabei |damit )?(?:leider )?nicht"
    r"|je suis désolé|je ne peux pas|lo siento,? (?:pero )?(?:no puedo)?|no puedo (?:ayudar|responder))",
    re.IGNORECASE,
)


def why(row: MadeRow, yard: Yard) -> str:
    """The reason, or ""."""
    if _ANYWHERE.search(row.answer) or _ANYWHERE.search(row.question):
        return "A language model speaks of itself in it."
    if row.origin == "synthetic" and _BEGINS.match(row.question):
        return "The question is a refusal to write one."
    return "The answer refuses to answer." if _BEGINS.match(row.answer) else ""


GATE = Gate("Refusals", 40, per_row(why))
