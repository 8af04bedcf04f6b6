"""Owns tables that say something of pictures: which column names the picture, which one says what it shows, whom it is of, what it is for.

Invariant: a column is taken for the pictures' names because its cells name pictures that are there, never for its heading alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from loralab.core.errors import LabError
from loralab.datasets.formats.cells import cell_text
from loralab.datasets.images import several
from loralab.datasets.images.names import Index, side_of
from loralab.datasets.images.place import Place, is_picture
from loralab.datasets.images.several import Several
from loralab.datasets.readers import Row, Table, read_bytes
from loralab.datasets.tables.columns import key

ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".xlsx", ".ods", ".parquet")
MOST_TABLES = 30
MOST_CLASSES = 1000
_NESTED = ('{"', "{'", '[{"')  # how a cell begins that holds more than a word
LONG = 60  # characters from which on most cells are sentences
_LOOKED = 2000  # rows
_LABELS = (
    *("label", "labels", "class", "classname", "classid", "category", "target", "diagnosis", "dx", "finding", "findings", "findinglabels"),
    *("species", "breed", "type", "kind", "condition", "result", "y", "groundtruth", "tag", "grade", "klasse", "kategorie", "diagnose"),
    *("etikett", "art", "etiquette", "classe", "categorie", "clase", "etiqueta", "categoria", "标签", "类别", "ラベル", "метка", "класс"),
)
_GROUPS = (
    *("patientid", "patient", "subjectid", "subject", "caseid", "case", "lesionid", "personid", "person", "studyid", "slideid"),
    *("animalid", "source", "sourceid", "group", "groupid"),
)
_BOXES = (("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"), ("left", "top", "right", "bottom"), ("xtl", "ytl", "xbr", "ybr"))
_SIZED = (("x", "y", "width", "height"), ("x", "y", "w", "h"), ("left", "top", "width", "height"), ("xmin", "ymin", "w", "h"))


@dataclass(frozen=True)
class Meaning:
    """What a table's columns are for; empty where there is no such column."""

    file: str
    label: str = ""
    side: str = ""
    group: str = ""
    box: tuple[str, ...] = ()  # four columns, or one with four numbers
    sized: bool = False  # the box is left, top, width, height
    shares: bool = False  # its numbers are shares of the picture
    size: tuple[str, ...] = ()  # columns with the picture's width and height
    one_hot: tuple[str, ...] = ()  # a column per class, 1 where it is it
    text: str = ""  # sentences about the picture
    others: tuple[str, ...] = ()  # columns that could be the label instead
    several: Several | None = None  # a picture may have more than one label


def labelled_tables(place: Place, index: Index, roles: dict[str, str] | None = None) -> list[tuple[Table, Meaning]]:
    """The tables of a place that name its pictures, with what their columns are for."""
    found: list[tuple[Table, Meaning]] = []
    for name in place.ending(*ENDINGS)[:MOST_TABLES]:
        raw = place.read(name)
        if name.lower().endswith(".json") and (b'"annotations"' in raw or b'"shapes"' in raw):
            continue  # lists of boxes, which have their own readers
        try:
            tables = read_bytes(raw, name)
        except LabError:  # a file among others that is no table
            continue
        found += [(table, meaning) for table in tables if (meaning := meaning_of(table, index, roles or {}))]
    return found


def meaning_of(table: Table, index: Index, roles: dict[str, str]) -> Meaning | None:
    """What the columns are for; None where no column names pictures."""
    rows = table.rows[:_LOOKED]
    cells = {column: [cell_text(row.values.get(column)).strip() for row in rows] for column in table.columns}
    file = _file_column(cells, index)
    if not file:
        return None
    keys = {key(column): column for column in reversed(table.columns)}
    box, sized = _box_columns(keys, cells)
    side = next((column for column in cells if column != file and _is_sides(cells[column])), "")
    group = next((keys[name] for name in _GROUPS if name in keys and keys[name] != file), "")
    rest = [column for column in table.columns if column not in (file, side, group, *box)]
    size = () if sized or not {"width", "height"} <= keys.keys() else (keys["width"], keys["height"])
    rest = [column for column in rest if column not in size]
    text = next((column for column in rest if _is_prose(cells[column])), "")
    wanted = roles.get("label", "")
    named = [column for name in _LABELS for column in rest if key(column) == name and _may_be_classes(cells[column], certain=True)]
    likely = [column for column in rest if column not in named and column != text and _may_be_classes(cells[column])]
    one_hot = () if named else _one_hot(rest, cells)
    together = next((found for column in named + likely if (found := several.in_cells(column, cells[column]))), None)
    together = together or (None if one_hot or named else several.in_columns(rest, cells))
    if together is not None:
        return Meaning(
            file, together.column, side, group, box, sized, bool(box) and _are_shares([cells[one] for one in box]), size, several=together
        )
    label = wanted if wanted in table.columns else next(iter((*named, *([] if one_hot else likely))), "")
    others = () if named or one_hot or wanted else tuple(column for column in likely if column != label)
    shares = bool(box) and _are_shares([cells[column] for column in box])
    return Meaning(file, label, side, group, box, sized, shares, size, one_hot, text, others)


def numbers(texts: Sequence[str]) -> tuple[float, ...] | None:
    """All of them as numbers; None where one is none."""
    try:
        found = tuple(float(text.replace(",", ".") if text.count(",") == 1 else text) for text in texts)
    except ValueError:
        return None
    return found if all(map(math.isfinite, found)) else None


def four(text: str) -> tuple[float, ...] | None:
    """The four numbers of one cell: [10, 20, 30, 40]."""
    words = text.strip("[]() ").replace(";", ",").replace(" ", ",").split(",")
    return numbers(found) if len(found := [word for word in words if word]) == 4 else None


def _file_column(cells: dict[str, list[str]], index: Index) -> str:
    """The column whose cells name the most pictures that are there; a third at least, or four fifths that look like names of some."""
    best, share = "", 0.0
    for column, texts in cells.items():
        filled = [text for text in texts if text]
        if not filled or len(set(filled)) < 2:
            continue
        hits = sum(map(index.known, set(filled))) / len(set(filled))
        looks = sum(is_picture(text) for text in filled) / len(filled)
        score = hits + (0.01 if looks > 0.8 else 0)
        if (hits >= 1 / 3 or (looks >= 0.8 and hits > 0)) and score > share:
            best, share = column, score
    return best


def _is_sides(texts: Sequence[str]) -> bool:
    filled = {text for text in texts if text}
    return bool(filled) and len(filled) <= 4 and all(side_of(text) for text in filled)


def picture_of(row: Row, meaning: Meaning, source: str, index: Index) -> str | None:
    """The picture that a row means; of several that are called so the one of the part that the row, or the table's own name, speaks of."""
    folder, _, name = source.rpartition("/")
    side = cell(row, meaning.side)
    return index.find(cell(row, meaning.file), "/".join(filter(None, (folder, side, name))) if side else source)


def _is_prose(texts: Sequence[str]) -> bool:
    filled = [text for text in texts if text and not text.startswith(_NESTED)]
    return bool(filled) and len(set(filled)) > max(5, len(filled) // 3) and sum(" " in text for text in filled) * 2 > len(filled)


def _may_be_classes(texts: Sequence[str], *, certain: bool = False) -> bool:
    """Whether cells may be classes: at least two, each of them often enough. `certain`: the heading says so."""
    counted = Counter(text for text in texts if text)
    n, most = counted.total(), MOST_CLASSES if certain else 50
    if len(counted) < 2 or len(counted) > most or max(map(len, counted)) > LONG or any(text.startswith(_NESTED) for text in counted):
        return False
    if numbers(list(counted)) is not None and len(counted) > (30 if certain else 10):
        return False  # a measurement
    return len(counted) * (2 if certain else 4) <= n


def _one_hot(columns: Sequence[str], cells: dict[str, list[str]]) -> tuple[str, ...]:
    """Columns of 0 and 1 of which exactly one is 1 in every row."""
    flags = [column for column in columns if set(cells[column]) <= {"0", "1", "0.0", "1.0"} and "1" in {text[:1] for text in cells[column]}]
    if len(flags) < 2:
        return ()
    rows = zip(*(cells[column] for column in flags), strict=True)
    return tuple(flags) if all(sum(text[:1] == "1" for text in row) == 1 for row in rows) else ()


def _box_columns(keys: dict[str, str], cells: dict[str, list[str]]) -> tuple[tuple[str, ...], bool]:
    """The columns of boxes, and whether they give width and height instead of right and bottom."""
    for names, sized in (*((one, False) for one in _BOXES), *((one, True) for one in _SIZED)):
        if all(name in keys for name in names) and all(_are_numbers(cells[keys[name]]) for name in names):
            return tuple(keys[name] for name in names), sized
    for name in ("bbox", "box", "boundingbox"):
        if name in keys and any(four(text) for text in cells[keys[name]]):
            return (keys[name],), True
    return (), False


def _are_numbers(texts: Sequence[str]) -> bool:
    filled = [text for text in texts if text]
    return bool(filled) and sum(numbers([text]) is not None for text in filled) * 2 > len(filled)


def _are_shares(columns: Sequence[Sequence[str]]) -> bool:
    """Whether all numbers are between 0 and 1, and some of them broken."""
    one = len(columns) == 1
    found = [value for column in columns for text in column if text for value in (four(text) if one else numbers([text])) or ()]
    return bool(found) and max(found) <= 1.0 and min(found) >= 0.0 and any(value not in (0.0, 1.0) for value in found)


def cell(row: Row, column: str) -> str:
    """A cell's text, without blanks around it; nothing of no column."""
    return cell_text(row.values.get(column)).strip() if column else ""
