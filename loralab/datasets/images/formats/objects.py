"""Boxes as folders of pictures for the Hub have them: a table with a row per picture, whose column “objects” holds boxes and classes."""

from __future__ import annotations

from typing import Any

from loralab.core import strict_json
from loralab.core.records import Target
from loralab.datasets.images.boxes import NO_NUMBERS, NO_PICTURE, Box, Frame, regions
from loralab.datasets.images.facts import Facts
from loralab.datasets.images.formats.coco import id_of
from loralab.datasets.images.found import BoxCount, Format, Found, Item, Roles
from loralab.datasets.images.names import side_in, side_of
from loralab.datasets.images.notes import listed_missing, shows_nothing
from loralab.datasets.images.place import Place
from loralab.datasets.images.tabular import Meaning, cell, labelled_tables, picture_of
from loralab.datasets.readers import Row, Table

COLUMN = "objects"
_CLASSES = ("categories", "category", "labels", "label", "classes", "class", "name")


def claims(place: Place) -> bool:
    """A table names pictures, and its column “objects” holds boxes."""
    return bool(_tables(place))


def read(place: Place, facts: Facts, roles: Roles) -> Found:
    """The pictures that a table names, with their boxes; a row without any says that its picture shows nothing."""
    found = Found("detect", [], boxes=(boxes := BoxCount()))
    facts.gather(place.pictures)
    said: dict[str, tuple[str, list[tuple[str, Box]]]] = {}
    missing: list[str] = []
    for table, meaning in _tables(place):
        found.lost += table.left_out
        found.columns = table.columns
        for row in table.rows:
            things, bad = _things(row)
            boxes.drop(NO_NUMBERS, bad)
            name = picture_of(row, meaning, table.source, place.index)
            if name is None or facts.of(name).reason:
                boxes.drop(NO_PICTURE, len(things))
                missing += [cell(row, meaning.file)] if name is None else []
                continue
            side, known = said.setdefault(name, (side_of(cell(row, meaning.side)) or side_in(name), []))
            known += things
    for wanted in missing:
        found.lose(wanted, "The table names it, and it is not there.")
    for name in place.pictures:
        reason = facts.of(name).reason or ("" if name in said else "No table names it.")
        if reason:
            found.lose(name, reason)
            continue
        side, things = said[name]
        found.items.append(Item(name, target=Target(regions=regions(things, Frame(), facts.of(name), boxes)), side=side))
    found.notes += [*listed_missing(missing, "The table"), *shows_nothing(found)]
    return found


def _tables(place: Place) -> list[tuple[Table, Meaning]]:
    tables = labelled_tables(place, place.index)
    return [(table, meaning) for table, meaning in tables if any(_objects(row).get("bbox") for row in table.rows[:50])]


def _objects(row: Row) -> dict[str, Any]:
    """What the column holds, also as text; nothing where that is none of it."""
    held = row.values.get(COLUMN)
    try:
        held = strict_json.load(held.encode()) if isinstance(held, str) else held
    except ValueError:
        return {}
    return held if isinstance(held, dict) and isinstance(held.get("bbox"), list) else {}


def _things(row: Row) -> tuple[list[tuple[str, Box]], int]:
    """Classes and boxes (left, top, width, height there), and how many are no boxes."""
    held = _objects(row)
    kinds = next((held[name] for name in _CLASSES if isinstance(held.get(name), list)), [])
    things: list[tuple[str, Box]] = []
    for at, box in enumerate(held.get("bbox", ())):
        kind = kinds[at] if at < len(kinds) else "thing"
        label = " ".join(kind.split()) if isinstance(kind, str) else f"class {id_of(kind)}"
        try:
            left, top, width, height = (float(value) for value in box)
        except (TypeError, ValueError):
            continue
        things.append((label, (left, top, left + width, top + height)))
    return things, len(held.get("bbox", ())) - len(things)


FORMAT = Format("table with objects", "detect", rank=34, claims=claims, read=read)
