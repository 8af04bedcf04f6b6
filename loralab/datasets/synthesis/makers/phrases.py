"""Owns the words of questions in the languages that makers know. Pure data."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Phrases:
    """Questions with “{}” for what they ask about; `definition` finds “X is a …”, with the term as group “term”."""

    explain: str
    what_is: str
    what_are: str
    list_of: str
    steps: str
    after: str
    cell: str
    cell_odd: str  # where the name of the column does not go with “the … of”
    gap: str
    not_terms: frozenset[str]  # words that a definition never begins with
    definition: re.Pattern[str]


def _definition(article: str, verbs: str) -> re.Pattern[str]:
    term = r"(?P<term>[^\W_][^.;:!?\n]{1,70}?)"
    return re.compile(rf"^(?:(?P<article>{article})\s+)?{term}(?:\s+\([^()]{{1,40}}\))?,?\s+(?P<verb>{verbs})\s+\S")


# words that begin a sentence and are no term
_EN = (
    "this that these those it he she they we you i there here what which who when where one his her their its my our your "
    "such both all some many most each every another if as although because while and but or so then thus however for in on "
    "at by with from to no not nothing everything something"
)
_DE = "dies das es er sie wir ihr ich dort hier was wer wo wann man ein eine dieser diese dieses jener alle viele und aber"
_FR = "ce cela il elle ils elles nous vous je on qui que où ceci voici voilà"
_ES = "esto eso este esta él ella ellos nosotros yo que quien donde aquí allí"
PHRASES = {
    "en": Phrases(
        explain="What is there to know about “{}”?",
        what_is="What is {}?",
        what_are="What are {}?",
        list_of="What belongs to this: {}?",
        steps="What are the steps: {}?",
        after="Which step comes after “{}”?",
        cell="What is the {} of {}?",
        cell_odd="What is said of {1} under “{0}”?",
        gap="Fill in the gap: {}",
        not_terms=frozenset(_EN.split()),
        definition=_definition(
            "(?:An?|The)",
            r"(?:is|are)\s+(?:an?|one of|any|the (?:name|term|process|study|practice|part|act|amount|number|ability|state))"
            r"|means|refers? to|(?:is|are) (?:called|defined as|known as)|describes|stands for",
        ),
    ),
    "de": Phrases(
        explain="Was sollte man über „{}“ wissen?",
        what_is="Was ist {}?",
        what_are="Was sind {}?",
        list_of="Was gehört dazu: {}?",
        steps="Welche Schritte sind das: {}?",
        after="Welcher Schritt kommt nach „{}“?",
        cell="Was steht bei {1} unter „{0}“?",
        cell_odd="Was steht bei {1} unter „{0}“?",
        gap="Ergänze die Lücke: {}",
        not_terms=frozenset(_DE.split()),
        definition=_definition(
            "(?:Ein|Eine|Der|Die|Das)", r"(?:ist|sind)\s+(?:ein|eine|einer|eines|der|die|das)|bedeutet|bezeichnet|heißt"
        ),
    ),
    "fr": Phrases(
        explain="Que faut-il savoir sur « {} » ?",
        what_is="Qu’est-ce que {} ?",
        what_are="Que sont {} ?",
        list_of="Qu’est-ce qui en fait partie : {} ?",
        steps="Quelles sont les étapes : {} ?",
        after="Quelle étape vient après « {} » ?",
        cell="Que dit « {} » pour {} ?",
        cell_odd="Que dit « {} » pour {} ?",
        gap="Complétez : {}",
        not_terms=frozenset(_FR.split()),
        definition=_definition("(?:Une?|Les?|La|L’|L')", r"(?:est|sont)\s+(?:une?|des|l’un|la|le)|signifie|désigne"),
    ),
    "es": Phrases(
        explain="¿Qué hay que saber sobre «{}»?",
        what_is="¿Qué es {}?",
        what_are="¿Qué son {}?",
        list_of="¿Qué forma parte de esto: {}?",
        steps="¿Cuáles son los pasos: {}?",
        after="¿Qué paso viene después de «{}»?",
        cell="¿Qué dice «{}» de {}?",
        cell_odd="¿Qué dice «{}» de {}?",
        gap="Completa: {}",
        not_terms=frozenset(_ES.split()),
        definition=_definition("(?:Un|Una|El|La|Los|Las)", r"(?:es|son)\s+(?:un|una|unos|el|la)|significa|se refiere a"),
    ),
}
