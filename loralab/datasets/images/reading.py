"""Owns which kind of data set of pictures lies in a place, and reading it as that.

What is most telling decides: boxes, then masks, then a table, then folders. Where labels of two kinds are there, a person is asked, and the
more telling one is the guess; the role “task” decides without asking.
"""

from __future__ import annotations

from functools import lru_cache

from loralab.core import plugins
from loralab.core.errors import Offered, UserError
from loralab.core.words import count
from loralab.datasets.images.facts import Facts
from loralab.datasets.images.formats.captions import DRAW
from loralab.datasets.images.found import Format, Found, Roles
from loralab.datasets.images.place import Place
from loralab.datasets.images.sides import with_listed

KINDS = {"classify": "classes", "segment": "masks", "detect": "boxes", DRAW: "captions"}
TO_DRAW = "Learn to draw like them"  # what is offered where nothing else can be learned
FEWEST = 10  # pictures from which on something can be learned and tested


@lru_cache(maxsize=1)
def formats() -> tuple[Format, ...]:
    """All ways of writing labels down, the most telling first."""
    found: list[Format] = list(plugins.discover("loralab.datasets.images.formats", "FORMAT").values())
    return tuple(sorted(found, key=lambda one: (one.rank, one.name)))


def read(place: Place, facts: Facts, roles: Roles) -> tuple[Found, Format]:
    """What is to be learned of a place's pictures. Raises UserError where nothing says what they show, or where there are too few."""
    if not place.pictures:
        raise UserError(f"{place.title} holds no pictures.", "Choose a folder or a zip with pictures in it.", code="no_pictures")
    claiming = [one for one in formats() if one.claims(place)]
    wanted = roles.get("task", "")
    fitting = [one for one in claiming if one.task == wanted] if wanted else claiming
    if not fitting and wanted == DRAW:  # pictures without a word about them can be drawn like, too
        fitting = [one for one in formats() if one.task == DRAW]
    if not fitting:
        raise _nothing_said(place, wanted, claiming)
    chosen = fitting[0]
    found = chosen.read(place, facts, roles)
    with_listed(place, found)
    found.roles = {"task": found.task, **found.roles}
    tasks = list(dict.fromkeys(one.task for one in claiming if one.task in KINDS))
    if len(tasks) > 1 and not wanted:
        found.certain = False
        found.others = (*found.others, *({"task": task} for task in tasks if task != found.task))
    check(place, found)
    return found, chosen


def check(place: Place, found: Found) -> None:
    """Raise UserError where there is too little to learn from and test with."""
    n = len(found.items)
    if n < FEWEST:
        lost = f" {found.lost[0].reason}" if found.lost else ""
        what = f"{place.title} holds {count(n, 'picture')} that can be learned from, and {FEWEST} are needed to learn and to test.{lost}"
        raise UserError(what, "Add more pictures: about 50 of each kind are a good start.", code="too_few_pictures")
    if found.task == "classify" and len(kinds := {item.label for item in found.items}) < 2:
        what = f"All pictures show the same: “{next(iter(kinds))}”. To tell classes apart, at least two are needed."
        raise Offered(what, "Add a folder with pictures of something else.", "one_class", TO_DRAW, {"task": DRAW})
    if found.task == "detect" and not any(item.target and item.target.regions for item in found.items):
        raise UserError(f"No picture of {place.title} has a box that can be used.", "Check the files with the boxes.", code="no_boxes")


def _nothing_said(place: Place, wanted: str, claiming: list[Format]) -> UserError:
    if wanted and claiming:
        has, asked = KINDS.get(claiming[0].task, claiming[0].task), KINDS.get(wanted, wanted)
        return UserError(f"{place.title} holds {has}, and no {asked}.", "Choose what it holds, or another file.", code="no_such_labels")
    if len(place.pictures) < FEWEST:
        what = f"{place.title} holds {count(len(place.pictures), 'picture')}, and {FEWEST} are needed to learn and to test."
        return UserError(what, "Add more pictures: about 50 of each kind are a good start.", code="too_few_pictures")
    what = f"{place.title} holds {count(len(place.pictures), 'picture')}, and nothing says what they show."
    todo = "Put the pictures of each kind into a folder named after it, or add a table with the name of each picture and what it shows."
    return Offered(what, todo, "unlabelled_pictures", TO_DRAW, {"task": DRAW})
