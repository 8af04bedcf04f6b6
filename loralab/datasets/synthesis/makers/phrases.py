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
    means: str
    complete: str  # with the words that lead to a list
    listed: str  # with the heading over one
    steps: str
    after: str
    cell: str
    cell_odd: str  # where the name of the column does not go with “the … of”
    cell_yes: str  # where it says yes or no
    cell_told: str  # where it tells in a sentence or two
    gap: str
    begins: str
    goes_on: str
    says: str
    else_said: str  # with a sentence in which a gap stands for what it is about
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
        means="What does “{}” mean?",
        complete="Complete the list: {}",
        listed="What is listed under “{}”?",
        steps="What are the steps: {}?",
        after="Which step comes after “{}”?",
        cell="What is the {} of {}?",
        cell_odd="What is said of {1} under “{0}”?",
        cell_yes="Is “{0}” true of {1}?",
        cell_told="How is {} described?",
        gap="Fill in the gap: {}",
        begins="How does “{}” begin?",
        goes_on="How does the story go on after “{}”?",
        says="Who says: “{}”",
        else_said="“{}” What else is said of what belongs in the gap?",
        not_terms=frozenset(_EN.split()),
        definition=_definition(
            "(?:An?|The)",
            r"(?:is|are)\s+(?:an?|one of|any|the (?:\w+ (?:and \w+ )?of|regular|name|term|process|study|practice|part|act"
            r"|amount|number|ability|state))"
            r"|means|refers? to|(?:is|are) (?:called|defined as|known as)|describes|stands for",
        ),
    ),
    "de": Phrases(
        explain="Was sollte man über „{}“ wissen?",
        what_is="Was ist {}?",
        what_are="Was sind {}?",
        means="Was bedeutet „{}“?",
        complete="Vervollständige die Liste: {}",
        listed="Was wird unter „{}“ aufgezählt?",
        steps="Welche Schritte sind das: {}?",
        after="Welcher Schritt kommt nach „{}“?",
        cell="Was steht bei {1} unter „{0}“?",
        cell_odd="Was steht bei {1} unter „{0}“?",
        cell_yes="Trifft „{0}“ auf {1} zu?",
        cell_told="Wie wird {} beschrieben?",
        gap="Ergänze die Lücke: {}",
        begins="Wie beginnt „{}“?",
        goes_on="Wie geht die Geschichte weiter nach „{}“?",
        says="Wer sagt: „{}“",
        else_said="„{}“ Was wird noch über das gesagt, was in die Lücke gehört?",
        not_terms=frozenset(_DE.split()),
        definition=_definition(
            "(?:Ein|Eine|Der|Die|Das)", r"(?:ist|sind)\s+(?:ein|eine|einer|eines|der|die|das)|bedeutet|bezeichnet|heißt"
        ),
    ),
    "fr": Phrases(
        explain="Que faut-il savoir sur « {} » ?",
        what_is="Qu’est-ce que {} ?",
        what_are="Que sont {} ?",
        means="Que signifie « {} » ?",
        complete="Complétez la liste : {}",
        listed="Qu’est-ce qui est énuméré sous « {} » ?",
        steps="Quelles sont les étapes : {} ?",
        after="Quelle étape vient après « {} » ?",
        cell="Que dit « {} » pour {} ?",
        cell_odd="Que dit « {} » pour {} ?",
        cell_yes="« {0} » : est-ce vrai pour {1} ?",
        cell_told="Comment est décrit {} ?",
        gap="Complétez : {}",
        begins="Comment commence « {} » ?",
        goes_on="Comment l’histoire continue-t-elle après « {} » ?",
        says="Qui dit : « {} »",
        else_said="« {} » Que dit-on d’autre de ce qui manque ici ?",
        not_terms=frozenset(_FR.split()),
        definition=_definition("(?:Une?|Les?|La|L’|L')", r"(?:est|sont)\s+(?:une?|des|l’un|la|le)|signifie|désigne"),
    ),
    "es": Phrases(
        explain="¿Qué hay que saber sobre «{}»?",
        what_is="¿Qué es {}?",
        what_are="¿Qué son {}?",
        means="¿Qué significa «{}»?",
        complete="Completa la lista: {}",
        listed="¿Qué se enumera en «{}»?",
        steps="¿Cuáles son los pasos: {}?",
        after="¿Qué paso viene después de «{}»?",
        cell="¿Qué dice «{}» de {}?",
        cell_odd="¿Qué dice «{}» de {}?",
        cell_yes="¿Es cierto «{0}» para {1}?",
        cell_told="¿Cómo se describe {}?",
        gap="Completa: {}",
        begins="¿Cómo empieza «{}»?",
        goes_on="¿Cómo sigue la historia después de «{}»?",
        says="¿Quién dice: «{}»?",
        else_said="«{}» ¿Qué más se dice de lo que falta?",
        not_terms=frozenset(_ES.split()),
        definition=_definition("(?:Un|Una|El|La|Los|Las)", r"(?:es|son)\s+(?:un|una|unos|el|la)|significa|se refiere a"),
    ),
}
