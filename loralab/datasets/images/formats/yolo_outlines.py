"""Outlines as YOLO writes them, to be learned as masks: a line per thing with the number of its class and the corners as shares."""

from __future__ import annotations

from loralab.core.errors import Problem
from loralab.core.records import Region, Target
from loralab.core.words import count, plural
from loralab.datasets.images import outlines
from loralab.datasets.images.facts import Facts
from loralab.datasets.images.formats import yolo
from loralab.datasets.images.formats.coco_outlines import MOST_LABELS
from loralab.datasets.images.found import Format, Found, Item, Roles
from loralab.datasets.images.names import side_in
from loralab.datasets.images.place import Place

FEWEST = 3  # corners
_LOOKED = 20  # files by which it is told whether there are outlines


def claims(place: Place) -> bool:
    """Text files that belong to pictures hold lines of numbers, and at least half of these are outlines that are more than their box."""
    looked = [label for label in yolo.pairs_of(place).values() if place.sizes.get(label, 1)][:_LOOKED]
    lines = [line for label in looked for line in yolo.lines_of(place, label)]
    return bool(lines) and 2 * sum(bool(_outline(line, 1, 1)) and not _is_box(line) for line in lines) >= len(lines)


def read(place: Place, facts: Facts, roles: Roles) -> Found:
    """Pictures with the outlines of their text file; one without such a file, or with an empty one, shows nothing."""
    found = Found("segment", [])
    facts.gather(place.pictures)
    pairs = yolo.pairs_of(place)
    names = yolo.class_names(place, pairs)
    bare = 0
    for name in place.pictures:
        fact = facts.of(name)
        if fact.reason:
            found.lose(name, fact.reason)
            continue
        lines = yolo.lines_of(place, pairs[name]) if name in pairs else []
        things = [(_label(line, names), _outline(line, fact.width, fact.height)) for line in lines]
        regions = tuple(Region(label=label, outline=outline) for label, outline in things if label and outline)
        bare += len(things) - len(regions)
        found.items.append(Item(name, target=Target(regions=regions), side=side_in(name)))
    yolo.lonely(place, pairs, found)
    here = {region.label for item in found.items if item.target for region in item.target.regions}
    found.labels = tuple(label for label in dict.fromkeys((*names.values(), *sorted(here))) if label in here)[:MOST_LABELS]
    found.notes += [*yolo.unnamed(names), *yolo.without_file(sum(name not in pairs for name in place.pictures), len(found.items))]
    if bare:
        are = plural(bare, "is", "are")
        what = f"{count(bare, 'line')} {are} no outline of a class that is named, and {are} not marked."
        found.notes.append(Problem(code="no_outline", what=what, todo="Have a look at these if you expected them.", severity="info"))
    return found


def _label(line: str, names: dict[int, str]) -> str:
    """What a thing is; nothing where its number is in no list."""
    first = line.split(maxsplit=1)[0]
    try:
        kind = int(float(first))
    except (ValueError, OverflowError):
        return ""
    return names.get(kind, "") if names else f"class {kind}"


def _corners(line: str) -> list[float]:
    """The shares x, y, x, y ...; none where it is no outline."""
    if not yolo.LINE.match(line):
        return []
    rest = [float(word) for word in line.split()[1:]]
    return rest if len(rest) >= 2 * FEWEST and len(rest) % 2 == 0 else []


def _outline(line: str, width: int, height: int) -> str:
    return outlines.of_polygons([[value * (width, height)[at % 2] for at, value in enumerate(_corners(line))]], width, height)


def _is_box(line: str) -> bool:
    return outlines.is_box([_corners(line)])


FORMAT = Format("YOLO outlines", "segment", rank=29, claims=claims, read=read, settles=("detect",))
