"""Owns the names of people who speak in a chat: where they stand in what is said, and writing others in their place.

Invariant: the same person has the same other name everywhere, and a word that is no name by itself stays (“will”, “may”).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache

from loralab.datasets.conversations.speakers import SECOND
from loralab.datasets.conversations.turns import ROLE_OF
from loralab.datasets.tables.columns import key

_SHORTEST = 3  # letters of a part of a name
_WORD = re.compile(r"\w+")


def people(speakers: Sequence[str]) -> tuple[str, ...]:
    """Those of the speakers that are called by a name, and not “user” or “agent_1”."""
    return tuple(name for name in speakers if name != SECOND and key(name) not in ROLE_OF and any(map(str.isalpha, name)))


def renaming(speakers: Sequence[str]) -> Callable[[str], str]:
    """A function that writes Person A, Person B and so on in place of names, of their parts, and of names with an @."""
    others = {name: f"Person {_letters(place)}" for place, name in enumerate(people(speakers))}
    shared = Counter(part for name in others for part in dict.fromkeys(name.casefold().split()))
    known: dict[str, str] = {}  # a name in small letters -> the other name
    for name, other in others.items():
        parts = [part for part in name.casefold().split() if shared[part] == 1 and len(part) >= _SHORTEST and part.isalpha()]
        known |= {word: other for word in (" ".join(name.casefold().split()), *parts) if word not in ROLE_OF}
    if not known:
        return lambda text: text
    by_word: dict[str, list[str]] = {}  # a chat may have thousands of people: a text is searched for those whose first word is in it
    for name in known:
        by_word.setdefault(_WORD.findall(name)[0], []).append(name)

    def replaced(found: re.Match[str]) -> str:
        at, said = found[1], found[2]
        is_word = said.isalpha() and said == said.lower() and said != said.upper()  # “will”, “may”: a name only with a capital or an @
        return found[0] if is_word and not at else known[" ".join(said.casefold().split())]

    def renamed(text: str) -> str:
        here = {name for word in set(_WORD.findall(text.casefold())) for name in by_word.get(word, ())}
        return _any_of(tuple(sorted(here, key=lambda name: (-len(name), name)))).sub(replaced, text) if here else text

    return renamed


@lru_cache(maxsize=1024)
def _any_of(names: tuple[str, ...]) -> re.Pattern[str]:
    words = (r"\s+".join(map(re.escape, name.split())) for name in names)
    return re.compile(rf"(?<!\w)(@?)({'|'.join(words)})(?!\w)", re.IGNORECASE)


def _letters(place: int) -> str:
    """A to Z, then AA, AB and so on."""
    rest, last = divmod(place, 26)
    return (_letters(rest - 1) if rest else "") + chr(ord("A") + last)
