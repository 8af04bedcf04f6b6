"""Owns PDF files: the text of their pages, put together to paragraphs and cut into passages.

Invariant: a page without text is named, a scan is refused as what it is, and no file keeps the reader busy for longer than its pages need.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

from loralab.core.errors import UserError
from loralab.core.records import LeftOut
from loralab.core.words import count
from loralab.datasets.formats.documents import flowing, readable
from loralab.datasets.formats.pages import Line, line_of
from loralab.datasets.formats.passages import passages
from loralab.datasets.readers import Reader, Row, Table

_MARK = re.compile(rb"(?:^|[\r\n])%PDF-\d\.\d")
_WITHIN = 1024  # bytes before the mark: some programs put their own header there
_MOST_PAGES = 1500  # about a minute
Taken = TypeVar("Taken")
_BY_HAND = "Or copy its words into a Word document or a text file."


def read(raw: bytes, name: str) -> list[Table]:
    """One row per passage, numbered from 1; pages that hold no text are left out."""
    found = pages(raw, name)
    lost = [LeftOut(row=number, source=name, reason=f"Page {number} {why}") for number, (_, why) in enumerate(found, 1) if why]
    text, repeated = flowing([text for text, why in found if not why])
    if not text.strip():
        scanned = any("picture" in why for _, why in found)
        what = f"{name} is a scan: {count(len(found), 'page')} of pictures, without text." if scanned else f"{name} holds no text."
        todo = f"Scan it again with text recognition (OCR) switched on. {_BY_HAND}" if scanned else "Choose a file with examples in it."
        raise UserError(what, todo, code="no_text")
    about = count(len(found), "page")
    if repeated:
        about += f", {count(repeated, 'line')} taken out that stood on every page"
    rows = [Row(number, {"text": passage}) for number, passage in enumerate(passages(text), 1)]
    return [Table(source=name, rows=rows, columns=("text",), left_out=lost, is_prose=True, about=about)]


def pages(raw: bytes, name: str) -> list[tuple[str, str]]:
    """The text of each page, and why it has none that can be used. Raises UserError where it cannot be opened."""
    with _quiet():
        return _pages(raw, name, _page)


def lines(raw: bytes, name: str) -> list[tuple[list[Line], str]]:
    """The lines of each page with their places, and why it has none. Raises UserError where it cannot be opened."""
    with _quiet():
        return _pages(raw, name, _lines)


def _lines(file: Any, at: int) -> tuple[list[Line], str]:
    rows: list[list[tuple[str, float, float, float, bool]]] = [[]]

    def take(text: str, cm: list[float], tm: list[float], font: Any, size: float) -> None:
        x, y = cm[0] * tm[4] + cm[2] * tm[5] + cm[4], cm[1] * tm[4] + cm[3] * tm[5] + cm[5]
        heavy = "bold" in str((font or {}).get("/BaseFont", "")).casefold()
        for part, said in enumerate(text.split("\n")):
            if part:
                rows.append([])
            if said:
                rows[-1].append((said, float(x), float(y), abs(float(size * tm[3] * cm[3])) or float(size), heavy))

    try:
        said = str(file.pages[at].extract_text(visitor_text=take))
    except Exception:  # noqa: BLE001 - as in _page
        return [], "is damaged."
    _, why = _judged(said, file, at)
    found = [line for row in rows if row and (line := line_of(row, at + 1))]
    return ([] if why else found), why


def _pages(raw: bytes, name: str, take: Callable[[Any, int], Taken]) -> list[Taken]:
    import pypdf
    from pypdf.errors import DependencyError

    try:
        file = pypdf.PdfReader(io.BytesIO(raw))
        opened = not file.is_encrypted or bool(file.decrypt(""))
        number = len(file.pages) if opened else 0
    except DependencyError as error:  # a lock of a newer kind
        raise _locked(name) from error
    except Exception as error:
        raise UserError(f"{name} is damaged or not a PDF.", "Open it and save it again as PDF.", code="bad_pdf") from error
    if not opened:
        raise _locked(name)
    if number > _MOST_PAGES:
        todo = f"Choose a part of it: at most {_MOST_PAGES:,} pages."
        raise UserError(f"{name} has {number:,} pages, which would take too long to read.", todo, code="file_too_big")
    return [take(file, at) for at in range(number)]


def _locked(name: str) -> UserError:
    todo = f"Open it with its password, print it to a new PDF, and choose that. {_BY_HAND}"
    return UserError(f"{name} is protected with a password.", todo, code="locked_file")


def _page(file: Any, at: int) -> tuple[str, str]:
    try:
        text = str(file.pages[at].extract_text())
    except Exception:  # noqa: BLE001 - one damaged page does not cost the others; it is named
        return "", "is damaged."
    return _judged(text, file, at)


def _judged(text: str, file: Any, at: int) -> tuple[str, str]:
    if not text.strip():
        return "", "is a picture: the words in it cannot be read." if _has_picture(file, at) else ""
    return (text, "") if readable(text) else ("", "cannot be read: its letters are only drawn.")


def _has_picture(file: Any, at: int) -> bool:
    try:
        return len(file.pages[at].images.keys()) > 0
    except Exception:  # noqa: BLE001 - likewise: a page whose parts cannot be listed counts as blank
        return False


@contextmanager
def _quiet() -> Generator[None]:
    """What pypdf logs about a file is for programmers."""
    log = logging.getLogger("pypdf")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


READER = Reader(suffixes=(".pdf",), read=read, claims=lambda raw, _suffix: _MARK.search(raw[:_WITHIN]) is not None)
