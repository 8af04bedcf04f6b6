"""People who speak in a chat by their names: a model that learns from them repeats those. Told before training, with the way out."""

from __future__ import annotations

from loralab.core.errors import Problem
from loralab.core.words import count, listed, plural
from loralab.datasets.checks import Case, everything, where
from loralab.datasets.conversations.people import people, renaming

_NAMED = 3  # people who are named; of more only the number is told


def check(case: Case) -> list[Problem]:
    """One finding, with how many examples their names stand in."""
    who = people(case.loaded.speakers)
    if not who:
        return []
    renamed = renaming(case.loaded.speakers)
    hits = [example for example in case.examples if renamed(text := everything(example)) != text]
    names = listed([f"“{name}”" for name in who]) if len(who) <= _NAMED else count(len(who), "person", "people")
    said = f"{names} {plural(len(who), 'speaks', 'speak')} in these examples"
    if hits:
        named = plural(len(who), "the name stands", "their names stand")
        said += f", and {named} in {count(len(hits), 'example')} ({where(hits)})"
    todo = "Ask them first." + (" The check before training can write Person A, Person B and so on in place of names." if hits else "")
    return [Problem(code="people", what=f"{said}.", todo=todo, severity="warning" if hits else "info")]


CHECK = check
