"""Tables: what each cell says of the thing its row is about; a table of questions and answers is taken as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from loralab.datasets.synthesis.makers import Draft, Reading
from loralab.datasets.synthesis.makers.phrases import Phrases
from loralab.datasets.synthesis.passages.document import Grid
from loralab.datasets.tables.columns import QUESTIONS, WORDS, find, key

_NAMES = ("name", "product", "product_name", "title", "term", "item", "model", "artikel", "produkt", "nombre", "nom", "subject")
_NUMBERS = frozenset(("id", "sku", "no", "nr", "index", "rownumber", "number", "uuid", "url", "link", "image", "picture"))
_ODD = re.compile(r"(?:ed|[^s]s|by|in|at|on)\??$|^(?:is|has|can|was) ")  # “opened”, “steps”, “made by”
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
            if column != about and key(column) not in _NUMBERS and value.casefold() not in ("n/a", "-", "none", "null"):
                shown = column.replace("_", " ").strip()
                phrase = phrases.cell_odd if _ODD.search(shown.casefold()) else phrases.cell
                yield Draft(
                    phrase.format(shown if not shown.istitle() else shown.lower(), name), value, row.start, row.end, name, row.number
                )


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
