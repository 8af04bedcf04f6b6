"""Owns e-books (.epub): their chapters in reading order, as passages. Invariant: a chapter that cannot be read is named."""

from __future__ import annotations

import posixpath
import zipfile
from urllib.parse import unquote

from loralab.core.errors import LabError, UserError
from loralab.core.records import LeftOut
from loralab.core.words import count
from loralab.datasets.formats.archives import content, members, open_archive, refusal
from loralab.datasets.formats.documents import Block, parts, setting, tag, tree
from loralab.datasets.formats.encoding import decode
from loralab.datasets.formats.markup import blocks
from loralab.datasets.readers import MAX_BYTES, MAX_FILES, Reader, Table

CONTAINER = "META-INF/container.xml"
_PICTURES = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".svg")


def read(raw: bytes, name: str) -> list[Table]:
    """The text of all chapters as passages; tables as parts; pictures are counted."""
    with open_archive(raw, name, MAX_BYTES, MAX_FILES) as archive:
        try:
            chapters = _chapters(archive)
        except (ValueError, KeyError, LabError, RecursionError) as error:
            todo = "Get a fresh copy of it, or convert it to PDF, and choose that."
            raise UserError(f"{name} is damaged or not an e-book.", todo, code="bad_ebook") from error
        found: list[Block] = []
        lost: list[LeftOut] = []
        for number, chapter in enumerate(chapters, 1):
            try:
                found += blocks(decode(_member(archive, chapter), chapter).text)[0]
            except (KeyError, LabError):
                lost.append(LeftOut(row=number, source=name, reason=f"Chapter {number} cannot be read: it is damaged or protected."))
        pictures = sum(member.lower().endswith(_PICTURES) for member in archive.namelist())
    more = ", ".join(filter(None, (count(len(chapters), "chapter"), f"{count(pictures, 'picture')} not read" if pictures else "")))
    made = parts(name, found, more, lost)
    if not any(one.rows for one in made):
        todo = "If it is protected or made of pictures, choose another copy of it."
        raise UserError(f"{name} holds no text that can be read.", todo, code="empty_file")
    return made


def marked(raw: bytes, name: str) -> list[Block]:
    """Paragraphs and tables of all chapters, headings and items with the marks of Markdown. For a file that `read` takes."""
    with open_archive(raw, name, MAX_BYTES, MAX_FILES) as archive:
        found: list[Block] = []
        for chapter in _chapters(archive):
            try:
                found += blocks(decode(_member(archive, chapter), chapter).text, marked=True)[0]
            except (KeyError, LabError):
                continue  # `read` names it
        return found


def _chapters(archive: zipfile.ZipFile) -> list[str]:
    """Names of the members that are read one after another."""
    book = next((setting(element, "full-path") for element in tree(_member(archive, CONTAINER)).iter() if tag(element) == "rootfile"), "")
    package = tree(_member(archive, book))
    places = {setting(item, "id"): setting(item, "href") for item in package.iter() if tag(item) == "item"}
    order = [places.get(setting(item, "idref"), "") for item in package.iter() if tag(item) == "itemref"]
    found = (posixpath.normpath(posixpath.join(posixpath.dirname(book), unquote(place))) for place in order if place)
    return list(dict.fromkeys(found))  # one that is named a thousand times is read once


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """A member's bytes. Raises KeyError where there is none, UserError where it may not be opened."""
    member = archive.getinfo(name)
    if refusal(member):
        raise KeyError(name)
    return content(archive, member)


READER = Reader(suffixes=(".epub",), read=read, claims=lambda raw, _suffix: raw[:4] == b"PK\x03\x04" and CONTAINER in members(raw))
