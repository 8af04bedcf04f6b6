"""Owns what files mean together that they do not mean alone: pages of a table's rows, questions and answers in two files, a text and its
translation, answers in files that are called after their questions.

Invariants: what is put together is a guess that a person is asked about; what finds no partner is left out with its reason; files that have
nothing to do with each other stay as they are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from loralab.core.records import LeftOut
from loralab.datasets.formats.cells import cell_text
from loralab.datasets.readers import Row, Table
from loralab.datasets.tables.columns import WORDS, find, key

FEWEST_FILES = 5  # called after questions
FEWEST_LINES = 9  # of a text and its translation
MOST_ALIKE = 0.8  # of the files: so many are called after questions; of the keys: so many are different
PARTNERS = 0.5  # of the shorter file's rows: so many have a partner in the other
NAME, SAYS, PAGE = "file name", "what it says", "page"
_EXPORT_ID = re.compile(r"\s+[0-9a-f]{32}(_all)?$")
_ASKING = frozenset(
    (
        *("what", "how", "why", "when", "where", "who", "whom", "whose", "which", "can", "could", "do", "does", "did", "is", "are", "was"),
        *("were", "should", "would", "will", "may", "must", "have", "has", "wie", "was", "warum", "wann", "wo", "wer", "welche", "welcher"),
        *(
            "kann",
            "können",
            "darf",
            "muss",
            "soll",
            "ist",
            "sind",
            "hat",
            "que",
            "qué",
            "cómo",
            "como",
            "cuándo",
            "dónde",
            "quién",
            "puedo",
        ),
        *("comment", "pourquoi", "quand", "où", "qui", "quel", "quelle", "est", "puis", "come", "perché", "quando", "dove", "chi", "posso"),
    )
)


def together(tables: Sequence[Table]) -> list[Table]:
    """The tables, with those made one that belong together."""
    found = list(tables)
    for step in (_pages_of_rows, _two_halves, _line_by_line, _called_after_questions):
        found = step(found)
    return found


def _stem(source: str) -> str:
    """A file's name as a person gave it: without its ending and the number an export puts behind it."""
    return _EXPORT_ID.sub("", PurePosixPath(source.replace("\\", "/")).stem).replace("_", " ").strip()


# ---- a table exported with a page for each row -----------------------------------------------------------------------------------


def _pages_of_rows(tables: list[Table]) -> list[Table]:
    """An export of a table beside texts that are called after its rows: each row with its page."""
    exported = [table for table in tables if not table.is_prose and _EXPORT_ID.search(PurePosixPath(table.source).stem)]
    if not exported:
        return tables
    kept = _without_views(tables, exported)
    pages = {_stem(table.source): table for table in kept if table.is_prose and _EXPORT_ID.search(PurePosixPath(table.source).stem)}
    used: set[str] = set()

    def paged(table: Table) -> Table:
        first = table.columns[0] if table.columns else ""
        names = [_stem(f"{cell_text(row.values.get(first)).replace('/', ' ')}.md") for row in table.rows]
        if table not in exported or not set(names) & pages.keys():
            return table
        used.update(set(names) & pages.keys())
        rows = [
            Row(row.number, {**row.values, PAGE: _whole(pages[name]) if name in pages else ""})
            for row, name in zip(table.rows, names, strict=True)
        ]
        return replace(table, rows=rows, columns=(*table.columns, PAGE), guessed=True, about="each row with its page")

    made = [paged(table) for table in kept]
    return [table for table in made if not (table.is_prose and _stem(table.source) in used)]


def _without_views(tables: list[Table], exported: list[Table]) -> list[Table]:
    """Of a table that is exported twice, as it is shown and whole, the whole one; the other is named."""
    whole = {_stem(table.source): table for table in exported if table.source.endswith("_all.csv")}
    return [
        Table(source=table.source, rows=[], left_out=[LeftOut(row=0, source=table.source, reason="The same table is there as a whole.")])
        if table in exported and table is not whole.get(_stem(table.source), table)
        else table
        for table in tables
    ]


def _whole(table: Table) -> str:
    """The text of a page without its heading, which is the row's name, and the fields below it, which are the row's cells."""
    text = re.sub(r"\A#\s[^\n]*\n+", "", _text(table))
    return re.sub(r"\A(?:[^\n:]{1,40}: [^\n]*\n)+\n", "", text).strip()


# ---- questions in one file, answers in another -----------------------------------------------------------------------------------


def _two_halves(tables: list[Table]) -> list[Table]:
    """Two tables of which one asks and the other answers, joined by what both number their rows with."""
    filled = [table for table in tables if table.rows]
    if len(filled) != 2 or any(table.is_prose for table in filled):
        return tables
    asks, answers = filled if _half(filled[0], "prompt") else reversed(filled)
    if not (_half(asks, "prompt") and _half(answers, "answer")):
        return tables
    shared = [column for column in asks.columns if column in answers.columns and key(column).endswith(("id", "key", "number", "nr", "no"))]
    for column in shared:
        joined = _joined(asks, answers, column)
        if joined:
            return [joined, *(table for table in tables if not table.rows)]
    return tables


def _half(table: Table, role: str) -> bool:
    """Whether a table has this side of an exchange, and not the other."""
    other = "answer" if role == "prompt" else "prompt"
    return bool(find(WORDS[role], table.columns)) and not find(WORDS[other], table.columns)


def _joined(asks: Table, answers: Table, column: str) -> Table | None:
    """Both as one; None where their numbers are not those of single rows, or hardly any is in both."""
    left, right = ({cell_text(row.values.get(column)): row for row in reversed(table.rows)} for table in (asks, answers))
    both = left.keys() & right.keys() - {""}
    fewest = min(len(asks.rows), len(answers.rows))
    if len(left) < MOST_ALIKE * len(asks.rows) or len(right) < MOST_ALIKE * len(answers.rows) or len(both) < PARTNERS * fewest:
        return None
    rows = [
        Row(row.number, {**right[mark].values, **row.values})
        for row in asks.rows
        if (mark := cell_text(row.values.get(column))) in both and left[mark] is row
    ]
    lost = [*asks.left_out, *answers.left_out]
    for table, known, there in ((asks, left, answers), (answers, right, asks)):
        for row in table.rows:
            mark = cell_text(row.values.get(column))
            if mark not in both:
                reason = f"No row of {there.source} has the “{column}” of this one."
            elif known[mark] is not row:
                reason = f"An earlier row has the same “{column}”."
            else:
                continue
            lost.append(LeftOut(row=row.number, source=table.source, reason=reason))
    columns = tuple(dict.fromkeys((*asks.columns, *answers.columns)))
    about = f"put together with {answers.source} by “{column}”"
    return replace(asks, rows=rows, columns=columns, left_out=lost, guessed=True, about=about)


# ---- a text and its translation, line by line -------------------------------------------------------------------------------------


def _line_by_line(tables: list[Table]) -> list[Table]:
    """Two texts of one name, with as many lines as each other: each line with the one that stands at its place in the other."""
    texts = [table for table in tables if table.rows]
    paths = [PurePosixPath(table.source) for table in texts]
    if (
        len(texts) != 2
        or not all(table.is_prose for table in texts)
        or paths[0].stem != paths[1].stem
        or paths[0].suffix == paths[1].suffix
    ):
        return tables
    first, second = ([line.strip() for line in _text(table).split("\n") if line.strip()] for table in texts)
    if len(first) != len(second) or len(first) < FEWEST_LINES:
        return tables
    columns = (paths[0].suffix[1:], paths[1].suffix[1:])
    rows = [Row(number, dict(zip(columns, pair, strict=True))) for number, pair in enumerate(zip(first, second, strict=True), 1)]
    about = f"put together with {texts[1].source}, line by line"
    made = replace(texts[0], rows=rows, columns=columns, is_prose=False, guessed=True, about=about)
    return [made, *(table for table in tables if not table.rows)]


# ---- answers in files called after their questions --------------------------------------------------------------------------------


def _called_after_questions(tables: list[Table]) -> list[Table]:
    """Texts whose files are called after questions: one row each."""
    texts = [table for table in tables if table.rows]
    sources = Counter(table.source for table in texts)
    if len(texts) < FEWEST_FILES or not all(table.is_prose for table in texts) or len(sources) < len(texts):
        return tables
    if sum(_asks(_stem(table.source)) for table in texts) < MOST_ALIKE * len(texts):
        return tables
    rows = [Row(number, {NAME: _stem(table.source), SAYS: _text(table)}) for number, table in enumerate(texts, 1)]
    lost = [one for table in tables for one in table.left_out]
    return [Table(source="", rows=rows, columns=(NAME, SAYS), left_out=lost, encoding=texts[0].encoding, guessed=True)]


def _text(table: Table) -> str:
    return "\n\n".join(cell_text(row.values.get("text")) for row in table.rows)


def _asks(name: str) -> bool:
    words = name.casefold().split()
    return len(words) >= 3 and (name.endswith("?") or words[0] in _ASKING)
