"""Tables: what each cell says of the thing its row is about; a table of questions and answers is taken as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from loralab.datasets.synthesis.makers import Draft, Reading
from loralab.datasets.synthesis.makers.phrases import PHRASES, Phrases
from loralab.datasets.synthesis.passages.document import Grid
from loralab.datasets.tables.columns import QUESTIONS, WORDS, find, key

_NAMES_TEXT = (
    "name product product_name productname title term item model artikel artikelname bezeichnung produkt produktname titel"
    " begriff nombre producto"
    " nom produit subject"
)
_NAMES = tuple(_NAMES_TEXT.split())
_NUMBERS_TEXT = (
    "id sku no nr index rownumber number uuid guid ean gtin isbn upc url uri link links image picture photo thumbnail bild foto"
    " slug path file filename"
    " artikelnr artikelnummer produktnummer productid itemid created createdat updated updatedat modified lastupdated"
    " lastmodified dateadded timestamp"
    " geändert aktualisiert erstellt"
)
_NUMBERS = frozenset(_NUMBERS_TEXT.split())  # columns that are for programs
_TELLS_TEXT = "description beschreibung details summary about info longdescription shortdescription descripción descriptif"
_TELLS = frozenset(_TELLS_TEXT.split())
_EMPTY_TEXT = "n/a na - -- – — none null nil tbd tba unknown ? unbekannt k.a. #n/a nan ./."
_EMPTY = frozenset((*_EMPTY_TEXT.split(), "k. a.", "keine angabe"))
_YES_TEXT = "yes no true false ja nein sí oui non wahr falsch y n"
_YES = frozenset(_YES_TEXT.split())
_ADDRESS = re.compile(r"(?:https?://|www\.|/|\w:\\)\S+$|\S+\.(?:jpe?g|png|gif|webp|svg|pdf)$", re.IGNORECASE)
_UNIT = re.compile(
    r"\s*[(\[]\s*(?:in )?([^()\[\]\d]{1,12})\s*[)\]]$|(?<=[a-z])[ _](kg|g|mg|km|m|cm|mm|l|ml|kwh|eur|usd|gbp)$", re.IGNORECASE
)
_ODD = re.compile(r"(?:ed|[^s]s|\b(?:by|in|at|on))\??$|^(?:is|has|can|was) ")  # “opened”, “steps”, “made by”
_LONG_NAME = 80  # characters: what is longer is no name


def make(reading: Reading) -> Iterator[Draft]:
    """A question for each cell beside the name."""
    for grid in reading.document.grids:
        asked = find((*QUESTIONS, *WORDS["prompt"]), grid.columns)
        told = find(WORDS["answer"], grid.columns, (asked,))
        if asked and told:
            yield from _pairs(grid, asked, told)
        elif grid.headed and reading.phrases and (about := _about(grid)):
            yield from _cells(grid, about, reading.phrases)


def _pairs(grid: Grid, asked: str, told: str) -> Iterator[Draft]:
    for row in grid.rows:
        if asked in row.cells and told in row.cells:
            answer, start, end = row.cells[told]
            yield Draft(row.cells[asked][0], answer, start, end, row=row.number)


def _cells(grid: Grid, about: str, phrases: Phrases) -> Iterator[Draft]:
    for row in grid.rows:
        if about not in row.cells:
            continue
        name = row.cells[about][0]
        for column, (value, _, _) in row.cells.items():
            if column == about or key(column) in _NUMBERS or value.casefold() in _EMPTY or _ADDRESS.match(value):
                continue
            if draft := _cell(column, value, name, phrases):
                yield Draft(*draft, row.start, row.end, name, row.number)


def _cell(column: str, value: str, name: str, phrases: Phrases) -> tuple[str, str]:
    """The question that a cell answers, and the answer, with the unit that its column names."""
    shown = " ".join(column.replace("_", " ").split())
    unit = _UNIT.search(shown)
    if unit:
        shown = shown[: unit.start()].strip()
        number = re.fullmatch(r"[\d.,\s–-]+", value)
        value = f"{value} {unit[1] or unit[2]}" if number else value
    if phrases is PHRASES["en"]:
        shown = " ".join(word.lower() if word.istitle() else word for word in shown.split())
    if value.casefold() in _YES:
        return phrases.cell_yes.format(shown, name), value
    if key(column) in _TELLS:
        return phrases.cell_told.format(name), value
    phrase = phrases.cell_odd if _ODD.search(shown.casefold()) else phrases.cell
    return phrase.format(shown, name), value


def _about(grid: Grid) -> str:
    """The column that names what a row is about: different in nearly every row, short, and not only a number."""
    best = ""
    for column in (find(_NAMES, grid.columns), *grid.columns):
        values = [row.cells[column][0] for row in grid.rows if column in row.cells] if column else []
        telling = [value for value in values if any(map(str.isalpha, value)) and len(value) <= _LONG_NAME]
        if len(telling) >= 0.9 * len(grid.rows) and len(set(telling)) >= 0.95 * len(telling) and key(column) not in _NUMBERS:
            best = column
            break
    return best


MAKER = make
