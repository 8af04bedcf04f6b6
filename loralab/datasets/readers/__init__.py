"""Owns reading: a file, folder or zip becomes tables of rows, with every row that could not be read named.

The folder is the registry: one module per file format with a READER constant. Content decides before the name does, because people
rename files; only then the ending; what is left and is text is plain text. Reading never writes to disk and never follows links.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from loralab.core import plugins
from loralab.core.errors import LabError, UserError
from loralab.core.records import LeftOut
from loralab.core.words import listed
from loralab.datasets.formats import kinds

KNOWN = ".txt, .md, .html, .docx, .odt, .rtf, .pdf, .epub, .csv, .tsv, .xlsx, .xls, .ods, .json, .jsonl or .parquet files"
MAX_BYTES = 1 << 30  # of one file or of all files together, unpacked: everything is held in memory
MAX_FILES = 20_000
_IGNORED = {"__macosx", "thumbs.db", "desktop.ini"}
_PAPERS = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")  # of a data set of the Hub
_NOTES = ("readme", "license", "licence", "notice", "copying", "changelog", "authors", "credits")


@dataclass(frozen=True)
class Row:
    """A row as it stands in the file. `number`: how a person counts it there (line of a .jsonl, row of a spreadsheet), from 1."""

    number: int
    values: dict[str, Any]


@dataclass(frozen=True)
class Coverage:
    """Characters of a file's text by what became of them; together they are all there are."""

    rows: int
    left_out: int  # named in the table's `left_out`
    structure: int  # separators, brackets around rows, comments, blanks


@dataclass
class Table:
    """Rows of one file with the same meaning of columns."""

    source: str
    rows: list[Row]
    columns: tuple[str, ...] = ()
    left_out: list[LeftOut] = field(default_factory=list)
    encoding: str = "utf-8"
    is_prose: bool = False  # passages of plain text: nothing to recognise
    headed: bool = True  # False: the columns had no names and are called "column 1", "column 2"
    part: str = ""  # of a file that has several: the sheet of a workbook, a table of a document
    hidden: bool = False  # the file's own program does not show this part
    guessed: bool = False  # put together from what may not belong together: a person is asked
    about: str = ""  # what the file's own program counts it in: “12 pages”
    coverage: Coverage | None = None  # None: the format holds its rows apart itself


def claims_nothing(_raw: bytes, _suffix: str) -> bool:
    """For formats that only their ending tells."""
    return False


@dataclass(frozen=True)
class Reader:
    """A file format: its usual endings, how its content betrays it whatever the ending, and how it is read."""

    suffixes: tuple[str, ...]
    read: Callable[[bytes, str], list[Table]]  # (content, name) -> tables; raises UserError when nothing is readable
    claims: Callable[[bytes, str], bool] = claims_nothing
    packs_files: bool = False  # holds other files; not opened inside another one


@lru_cache(maxsize=1)
def readers() -> tuple[Reader, ...]:
    """All readers, in name order."""
    return tuple(plugins.discover("loralab.datasets.readers", "READER").values())


def read_path(path: Path) -> list[Table]:
    """The tables of a file, zip or folder. Raises UserError when there is nothing that can be read."""
    if not path.exists():
        raise UserError(f"There is no file or folder at {path}.", "Check the name.", code="no_file")
    if path.is_dir():
        return read_many([(name, file.read_bytes) for name, file in files_below(path)], path.name, packed=False)
    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"{path.name} is larger than 1 GB.", "Split it, or take a part of it.", code="file_too_big")
    return read_bytes(path.read_bytes(), path.name)


def read_bytes(raw: bytes, name: str, *, packed: bool = False) -> list[Table]:
    """The tables of one file's content. `packed`: the file lies in an archive already, so it may not be one itself."""
    if not raw.strip(b"\0 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise UserError(f"{PurePosixPath(name).name} is empty.", "Choose a file with examples in it.", code="empty_file")
    reader = choose(raw, name)
    if packed and reader.packs_files:
        raise UserError(f"{name} is an archive inside an archive.", "Unpack it first.", code="nested_archive")
    return reader.read(raw, name)


def choose(raw: bytes, name: str) -> Reader:
    """Who reads this content; of a large file its beginning and end are enough. Raises NotRead for what is not read."""
    suffix = PurePosixPath(name.lower()).suffix
    for reader in readers():
        if reader.claims(raw, suffix):
            return reader
    kinds.refuse(kinds.kind_of(raw, name), PurePosixPath(name).name)
    for reader in readers():
        if suffix in reader.suffixes:
            return reader
    return next(reader for reader in readers() if "" in reader.suffixes)


def read_many(
    files: list[tuple[str, Callable[[], bytes]]], where: str, left_out: list[LeftOut] | None = None, *, packed: bool = True
) -> list[Table]:
    """Tables of several files. A file that cannot be read counts as one row left out, with row number 0 and the reason."""
    tables: list[Table] = []
    lost = Table(source=where, rows=[], left_out=list(left_out or []))
    refused: list[kinds.Kind] = []
    for name, load in files:
        found, reason = _try_reading(name, load, refused, packed=packed)
        tables.extend(found)
        if reason:
            lost.left_out.append(LeftOut(row=0, source=name, reason=reason))
    if any(not table.is_prose for table in tables):
        notes = [table.source for table in tables if is_note(table)]
        lost.left_out.extend(LeftOut(row=0, source=source, reason="A note about the data, not examples.") for source in notes)
        tables = [table for table in tables if not is_note(table)]
    if not any(table.rows for table in tables):
        raise _nothing(where, lost.left_out, refused)
    return [*tables, lost] if lost.left_out else tables


def _nothing(where: str, left_out: list[LeftOut], refused: list[kinds.Kind]) -> UserError:
    """What is said of an archive or folder without anything to read: what is in it, by kind, where that is known of all of it."""
    if refused and len(refused) == len(left_out):
        by_kind = Counter(refused).most_common()
        what = f"{where} holds {listed([kind.name if n == 1 else f'{n:,} {kind.many}' for kind, n in by_kind])}."
        return UserError(what, by_kind[0][0].todo, code=by_kind[0][0].code)
    first = left_out[0] if left_out else LeftOut(row=0, reason="")
    why = f" {first.reason if first.source in first.reason else f'{first.source}: {first.reason}'}".rstrip()
    return UserError(f"{where} holds no file that can be learned from.{why}", f"Put {KNOWN} in it.", code="no_examples")


def _try_reading(name: str, load: Callable[[], bytes], refused: list[kinds.Kind], *, packed: bool) -> tuple[list[Table], str]:
    """The tables of a file among others, or the reason why there are none; what it is goes to `refused` where that is known."""
    try:
        return [_named(table, name) for table in read_bytes(load(), name, packed=packed)], ""
    except kinds.NotRead as error:
        refused.append(error.kind)
        return [], error.problem.what
    except LabError as error:
        return [], error.problem.what
    except OSError as error:
        return [], f"It could not be opened: {error.strerror or error}"


def _named(table: Table, name: str) -> Table:
    """The table under a name that begins with the file's, also when it comes out of an archive in a folder."""

    def full(source: str) -> str:
        return source if source.startswith(name) else f"{name}/{source}"

    lost = [row.model_copy(update={"source": full(row.source)}) for row in table.left_out]
    return replace(table, source=full(table.source), left_out=lost)


def is_note(table: Table) -> bool:
    """Whether a file is about the data it lies with."""
    if PurePosixPath(table.source.lower()).name in _PAPERS:
        return True
    return table.is_prose and PurePosixPath(table.source.lower()).name.startswith(_NOTES)


def is_hidden(name: str) -> bool:
    """Files the operating system leaves behind, which nobody meant as examples."""
    parts = PurePosixPath(name).parts
    return any((part.startswith(".") and part not in (".", "..")) or part.lower() in _IGNORED for part in parts)


def files_below(folder: Path, most_bytes: int = MAX_BYTES) -> list[tuple[str, Path]]:
    """The files below a folder in name order, links left alone. Raises UserError when they are too many or too big."""
    found: list[Path] = []
    total = 0
    for path in (Path(base, name) for base, _, names in os.walk(folder, followlinks=False) for name in names):
        if path.is_symlink() or not path.is_file() or is_hidden(path.relative_to(folder).as_posix()):
            continue
        with contextlib.suppress(FileNotFoundError):  # taken away while the folder is walked
            total += path.stat().st_size
            found.append(path)
        if len(found) > MAX_FILES or total > most_bytes:  # asked while walking: somebody may have chosen a whole disk
            what = f"{folder.name or folder} holds more than {MAX_FILES:,} files or {most_bytes >> 30} GB."
            raise UserError(what, "Choose a smaller folder.", code="folder_too_big")
    return [(p.relative_to(folder).as_posix(), p) for p in sorted(found)]
