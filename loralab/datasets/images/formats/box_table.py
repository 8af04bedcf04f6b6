"""Boxes in a table: a row per box, with the picture's name, the class and the corners."""

from __future__ import annotations

from loralab.core.records import Target
from loralab.datasets.images.boxes import NO_CLASS, NO_NUMBERS, NO_PICTURE, Box, Frame, regions
from loralab.datasets.images.facts import Fact, Facts
from loralab.datasets.images.found import BoxCount, Format, Found, Item, Roles
from loralab.datasets.images.names import side_at_end, side_in, side_of
from loralab.datasets.images.notes import listed_missing, shows_nothing
from loralab.datasets.images.place import Place
from loralab.datasets.images.tabular import Meaning, cell, four, labelled_tables, numbers, picture_of
from loralab.datasets.readers import Row

ANY = "thing"  # the class where no column says one


def claims(place: Place) -> bool:
    """A table names pictures and has columns of boxes."""
    return any(meaning.box for _, meaning in labelled_tables(place, place.index))


def read(place: Place, facts: Facts, roles: Roles) -> Found:
    """The pictures that a table names, with their boxes; a row without numbers says that its picture shows nothing."""
    found = Found("detect", [], boxes=(boxes := BoxCount()))
    index = place.index
    facts.gather(place.pictures)
    said: dict[str, list[tuple[str, Box]]] = {}
    sides: dict[str, tuple[str, str]] = {}
    frames: dict[str, Frame] = {}
    missing: dict[str, None] = {}
    tables = [(table, meaning) for table, meaning in labelled_tables(place, index, dict(roles)) if meaning.box]
    for table, meaning in tables:
        found.lost += table.left_out
        for row in table.rows:
            wanted = cell(row, meaning.file)
            name = picture_of(row, meaning, table.source, index)
            if name is None or facts.of(name).reason:
                boxes.drop(NO_PICTURE)
                missing |= {wanted: None} if name is None else {}
                continue
            said.setdefault(name, [])
            side = side_of(cell(row, meaning.side)) or (side_at_end(table.source) if len(tables) > 1 else "") or side_in(name)
            sides.setdefault(name, (side, cell(row, meaning.group)))
            frames.setdefault(name, _frame(row, meaning))
            label, box, reason = _box(row, meaning, facts.of(name))
            if box:
                said[name].append((label, box))
            elif reason:
                boxes.drop(reason)
    for wanted in missing:
        found.lose(wanted, "The table names it, and it is not there.")
    for name in place.pictures:
        reason = facts.of(name).reason or ("" if name in said else "No table names it.")
        if reason:
            found.lose(name, reason)
            continue
        target = Target(regions=regions(said[name], frames[name], facts.of(name), boxes))
        found.items.append(Item(name, target=target, side=sides[name][0], group=sides[name][1]))
    found.columns = tables[0][0].columns
    found.notes += [*listed_missing(list(missing), "The table"), *shows_nothing(found)]
    return found


def _frame(row: Row, meaning: Meaning) -> Frame:
    said = numbers([cell(row, column) for column in meaning.size]) if meaning.size and not meaning.shares else None
    return Frame(*said) if said else Frame()


def _box(row: Row, meaning: Meaning, fact: Fact) -> tuple[str, Box | None, str]:
    """Label and box of a row in pixels; neither a box nor a reason where the row has no numbers at all."""
    texts = [cell(row, column) for column in meaning.box]
    label = " ".join(cell(row, meaning.label).split()) if meaning.label else ANY
    if not any(texts):
        return label, None, ""
    said = four(texts[0]) if len(texts) == 1 else numbers(texts)
    if said is None:
        return label, None, NO_NUMBERS
    if not label:
        return label, None, NO_CLASS
    left, top, right, bottom = said
    if meaning.sized:
        right, bottom = left + right, top + bottom
    across, down = (fact.width, fact.height) if meaning.shares else (1, 1)
    return label, (left * across, top * down, right * across, bottom * down), ""


FORMAT = Format("table of boxes", "detect", rank=35, claims=claims, read=read)
