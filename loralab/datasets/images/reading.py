"""Owns which kind of data set of pictures lies in a place, and reading it as that.

What is most telling decides: boxes, then masks, then a table, then folders. Where labels of two kinds are there, a person is asked, and the
more telling one is the guess; the role “task” decides without asking.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache

from loralab.core import plugins
from loralab.core.errors import Offered, Problem, UserError
from loralab.core.words import count, listed
from loralab.datasets.images.facts import Facts
from loralab.datasets.images.formats.captions import DRAW
from loralab.datasets.images.found import Format, Found, Item, Roles
from loralab.datasets.images.place import Place
from loralab.datasets.images.sides import with_listed

KINDS = {"classify": "classes", "segment": "masks", "detect": "boxes", DRAW: "captions"}
TO_DRAW = "Learn to draw like them"  # what is offered where nothing else can be learned
NEARLY = 0.9  # share of the pictures from which on a way of reading them says something of nearly all
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
    found, chosen = _fullest(place, facts, roles, fitting)
    join_cases(found)
    with_listed(place, found)
    found.roles = {"task": found.task, **found.roles}
    tasks = list(dict.fromkeys(one.task for one in claiming if one.task in KINDS and one.task not in chosen.settles))
    if len(tasks) > 1 and not wanted:
        found.certain = False
        found.others = (*found.others, *({"task": task} for task in tasks if task != found.task))
    check(place, found)
    return found, chosen


def _fullest(place: Place, facts: Facts, roles: Roles, fitting: list[Format]) -> tuple[Found, Format]:
    """The most telling way that says something of nearly all pictures, else the one that does of the most: a table of some pictures may lie
    beside folders of all.
    """
    first, chosen = fitting[0].read(place, facts, roles), fitting[0]
    best = first
    for one in fitting[1:]:
        if roles.keys() - {"task"} or len(best.items) >= NEARLY * (len(best.items) + len(best.lost)):
            break
        with suppress(UserError):  # the other way may come to nothing
            other = one.read(place, facts, roles) if one.task == chosen.task else best
            best, chosen = (other, one) if len(other.items) > len(best.items) else (best, chosen)
    if best is not first:
        told = [f"{one.name} ({count(len(read.items), 'picture')})" for one, read in ((fitting[0], first), (chosen, best))]
        what = f"Two things say what the pictures show: {told[0]} and {told[1]}. The one that tells of more is taken."
        best.notes.append(Problem(code="two_layouts", what=what, todo="Leave that one out if it is not what you mean.", severity="warning"))
    return best, chosen


def join_cases(found: Found) -> None:
    """Make one of classes that differ in capitals alone, “Cat” and “cat”, under the commoner name, and tell; single letters stay two."""
    if found.task not in ("classify", "detect"):
        return
    counted = Counter(item.label for item in found.items if item.label is not None)
    counted.update(region.label for item in found.items if item.target for region in item.target.regions)
    spelt: defaultdict[str, list[str]] = defaultdict(list)
    for label, _ in counted.most_common():
        spelt[label.casefold()].append(label)
    same = {label: ways[0] for ways in spelt.values() for label in ways[1:] if len(label) > 1}
    if not same:
        return
    found.items = [_renamed(item, same) for item in found.items]
    found.labels = tuple(dict.fromkeys(same.get(label, label) for label in found.labels))
    named = listed([f"“{label}” and “{kept}”" for label, kept in list(same.items())[:3]])
    what = f"{named} differ in capitals only, and count as one class."
    found.notes.append(Problem(code="classes_joined", what=what, todo="Give one another name if two are meant.", severity="info"))


def _renamed(item: Item, same: dict[str, str]) -> Item:
    target = item.target
    if target is not None:
        regions = tuple(region.model_copy(update={"label": same.get(region.label, region.label)}) for region in target.regions)
        target = target.model_copy(update={"regions": regions})
    return replace(item, label=same.get(item.label or "", item.label), target=target)


def check(place: Place, found: Found) -> None:
    """Raise UserError where there is too little to learn from and test with."""
    n = len(found.items)
    if n < FEWEST:
        lost = f" {found.lost[0].reason}" if found.lost else ""
        what = f"{place.title} holds {count(n, 'picture')} that can be learned from, and {FEWEST} are needed to learn and to test.{lost}"
        raise UserError(what, "Add more pictures: about 50 of each kind are a good start.", code="too_few_pictures")
    kinds = {item.label for item in found.items}
    if found.task == "classify" and len(kinds) < 2:
        what = f"All pictures show the same: “{next(iter(kinds))}”. To tell classes apart, at least two are needed."
        raise Offered(what, "Add a folder with pictures of something else.", "one_class", TO_DRAW, {"task": DRAW})
    if found.task == "classify" and len(kinds) == n:
        what = (
            f"Every picture is of a class of its own: {n:,} pictures, {n:,} classes. What a class has in common cannot be learned from one."
        )
        raise Offered(what, "Add pictures of each class, about 50 are a good start.", "one_of_each", TO_DRAW, {"task": DRAW})
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
