"""Owns which templates there are, and finding one by a description of a task in plain words, English or German.

Invariants: listing them reads no examples; one of the workspace that cannot be read is left out, never in the way of the others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from loralab.core.errors import UserError
from loralab.core.paths import DATA
from loralab.core.records import Record
from loralab.datasets.samples import samples
from loralab.datasets.synthesis.search.space import STOP
from loralab.templates.recipe import Recipe, Written

BUNDLED = DATA / "templates" / "zoo"
PLACE = "templates"  # of the workspace
_STEM = 5  # letters that two words have in common, from their beginning, where they are taken for the same
_FORM, _LESS = 0.9, 0.6  # what another form of a word, and a word alike, counts for against the very same
_ASIDE = 0.5  # what a word counts for in a sentence for people, against one that a template is to be found by
_ENOUGH = 0.35  # of the best one's score: what is further off is not told


class Template(Record):
    """A template, where it lies and where its examples are; `data` is empty where the person brings them."""

    name: str  # of its file, without its ending
    path: str
    data: str
    task: str = ""  # the kind of training, where it is known without reading the examples
    own: bool = False  # of the workspace
    recipe: Recipe


def templates(home: Path) -> tuple[Template, ...]:
    """Those that come along, then those of the workspace."""
    found = [_opened(path, own=False) for path in sorted(BUNDLED.glob("*.yaml"))]
    for path in sorted((home / PLACE).glob("*/*.yaml")):
        with suppress(UserError):  # a file that a person changed by hand
            found.append(_opened(path, own=True))
    return tuple(found)


def template(name: str, home: Path) -> Template:
    """The template of this name. Raises UserError with the names there are."""
    known = {one.name: one for one in templates(home)}
    if name not in known:
        raise UserError(f"There is no template called “{name}”.", f"There are: {', '.join(known)}.", code="no_template")
    return known[name]


def _opened(path: Path, *, own: bool) -> Template:
    written = Written(path)
    bundled = {sample.name: sample for sample in samples()}
    place = written.data_path()
    sample = bundled.get(place)
    there = sample.path if sample else place if place and Path(place).exists() else ""
    task = str(written.recipe.plan.get("task") or (sample.task if sample else ""))
    return Template(name=path.stem, path=str(path), data=there, task=task, own=own, recipe=written.recipe)


def matching(words: str, among: Sequence[Template]) -> tuple[Template, ...]:
    """Those that fit a description, the best first; all of them where nothing is said, none where nothing fits.

    A word counts the more the fewer templates have it; words with the same beginning, and German compounds that hold one, count less.
    """
    asked = [word for word in _split(words) if word not in STOP]
    if not words.strip():
        return tuple(among)
    known = [_weights(one.recipe) for one in among]
    scores = [0.0] * len(among)
    for word in asked:
        hits = [max((_alike(word, other) * weight for other, weight in weights.items()), default=0.0) for weights in known]
        rare = math.log((1 + len(among)) / (1 + sum(hit > 0 for hit in hits)))
        scores = [score + hit * rare for score, hit in zip(scores, hits, strict=True)]
    least = max(scores, default=0.0) * _ENOUGH
    order = sorted((at for at, score in enumerate(scores) if score > 0 and score >= least), key=lambda at: -scores[at])
    return tuple(among[at] for at in order)


def _weights(recipe: Recipe) -> dict[str, float]:
    """The words of a template, and how much each counts."""
    aside = dict.fromkeys(_split(f"{recipe.about} {recipe.needs} {recipe.expect}"), _ASIDE)
    return aside | dict.fromkeys(_split(f"{recipe.name} {recipe.words}"), 1.0)


def _split(words: str) -> list[str]:
    return re.findall(r"[^\W\d_]{3,}", words.casefold())


def _alike(asked: str, known: str) -> float:
    if asked == known:
        return 1.0
    shorter, longer = sorted((asked, known), key=len)
    if len(shorter) >= 4 and longer.startswith(shorter) and len(longer) - len(shorter) <= 2:
        return _FORM
    return _LESS if len(shorter) >= _STEM and (longer[:_STEM] == shorter[:_STEM] or shorter in longer) else 0.0
