"""Owns what a file is by its bytes, where no reader takes it: a picture, a program, an old office file.

Invariant: what is known here is refused by its name and with a way out, whatever the file is called.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import PurePosixPath

from loralab.core.errors import UserError

_HEAD = 4096  # bytes that are looked at


@dataclass(frozen=True)
class Kind:
    """Something that is not read. `name` follows “is”; `todo` is the way out."""

    name: str
    many: str  # of several: “12 pictures”
    todo: str
    code: str = "not_text"


PICTURE = Kind(
    "a picture",
    "pictures",
    "Pictures are learned from together: put many into one zip, with a folder for each kind of thing that they show.",
    "picture",
)
RECORDING = Kind("a sound or a video", "sounds or videos", "LoRALab learns from text so far. Use its words: a transcript as a text file.")
PROGRAM = Kind("a program", "programs", "Choose the file with your examples.")
MODEL = Kind("a model", "models", "Models are chosen on the Plan page. Here come the examples that one learns from.")
DATABASE = Kind("a database", "databases", "Export the table you need as a CSV file, and choose that.")
PACKED = Kind(
    "an archive of a kind that LoRALab does not open", "other archives", "Unpack it, and choose what was inside, or a .zip of it."
)
LOCKED = Kind(
    "a file that is locked with a password", "locked files", "Open it, take the password off, save it, and choose it again.", "locked_file"
)
OLD_WORD = Kind("a Word document of the old kind (.doc)", "old Word documents", "Open it, save it as .docx, and choose that.", "old_office")
OLD_FILE = Kind(
    "an office file of an old kind", "old office files", "Open it, save it as .docx, .xlsx or .txt, and choose that.", "old_office"
)
SLIDES = Kind("a presentation", "presentations", "Copy its words into a Word document or a text file, and choose that.")
APPLE = Kind("a Pages, Numbers or Keynote file", "Apple office files", "Open it, export it to Word, Excel or PDF, and choose that.")
BOOK = Kind("an e-book of a kind that LoRALab does not read", "other e-books", "Convert it to EPUB or PDF, and choose that.")
FONT = Kind("a font", "fonts", "Choose the file with your examples.")
MAIL = Kind("a mailbox or a mail", "mails", "Copy the words into a text file or a table, one mail per row, and choose that.")
DATA = Kind("a data file of a kind that LoRALab does not read", "other data files", "Export it as a CSV or Parquet file, and choose that.")
POSTSCRIPT = Kind("a PostScript file", "PostScript files", "Save it as PDF, and choose that.")
WEB_PAGE = Kind(
    "a web page",
    "web pages",
    "If you wanted the page, give it the ending .html. If you wanted a file from it, get it again: what came is the page around it.",
)


class NotRead(UserError):
    """A file is something that is not read."""

    def __init__(self, kind: Kind, name: str) -> None:
        super().__init__(f"{name} is {kind.name}.", kind.todo, code=kind.code)
        self.kind = kind


_BEGINNINGS: tuple[tuple[bytes, Kind], ...] = (
    *((magic, PICTURE) for magic in (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"8BPS", b"\0\0\1\0\1\0")),
    *((magic, RECORDING) for magic in (b"\x1aE\xdf\xa3", b"ID3", b"\xff\xfb", b"OggS", b"fLaC", b"FLV\x01", b"\0\0\1\xba")),
    *((magic, RECORDING) for magic in (b"MThd", b"FORM\0", b"#!AMR\n", b"\xff\xf1", b"\xff\xf3", b"\xff\xf2", b"\x30\x26\xb2\x75")),
    *((magic, FONT) for magic in (b"\0\1\0\0\0", b"OTTO\0", b"wOFF", b"wOF2")),
    *((magic, MAIL) for magic in (b"!BDN",)),
    *((magic, DATA) for magic in (b"ORC\x0a", b"Obj\x01", b"$FL2@")),
    *((magic, PROGRAM) for magic in (b"MZ", b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"\0asm")),
    *((magic, MODEL) for magic in (b"GGUF", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"\x89HDF\r\n", b"\x93NUMPY")),
    *((magic, DATABASE) for magic in (b"SQLite format 3\0", b"\0\1\0\0Standard")),
    *((magic, PACKED) for magic in (b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"\x28\xb5\x2f\xfd", b"MSCF", b"\x1f\x9d", b"xar!")),
    (b"%!PS", POSTSCRIPT),
)
_WITHIN = ((128, b"DICM", PICTURE), (60, b"BOOKMOBI", BOOK), (257, b"ustar", PACKED))
_MAIL_HEAD = re.compile(rb"(?:from \S+[^\n]*\n)?(?:[a-z-]+:[^\n]*\n(?:[ \t][^\n]*\n)*){3}")
_IN_RIFF = {b"WEBP": PICTURE, b"WAVE": RECORDING, b"AVI ": RECORDING}
_STILL = (b"heic", b"heix", b"mif1", b"avif", b"msf1")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLD: tuple[tuple[str, Kind | None], ...] = (
    ("__substg1.0_", MAIL),
    ("EncryptedPackage", LOCKED),
    ("WordDocument", OLD_WORD),
    ("Workbook", None),  # it is read
    ("Book", None),
    ("PowerPoint Document", SLIDES),
)
_OLD_SUFFIXES = {".doc": OLD_WORD, ".dot": OLD_WORD, ".xls": None, ".xlt": None, ".ppt": SLIDES, ".docx": LOCKED, ".xlsx": LOCKED}
_IN_PACKAGE = (
    *(("ppt/presentation", SLIDES), ("Index/Document.iwa", APPLE), ("data.pkl", MODEL)),
    *(("AndroidManifest.xml", PROGRAM), ("META-INF/MANIFEST.MF", PROGRAM)),
)


def kind_of(raw: bytes, name: str = "") -> Kind | None:
    """What the bytes are where that is something that is not read; None where they may hold text."""
    for magic, kind in _BEGINNINGS:
        if raw.startswith(magic) and (kind is POSTSCRIPT or not magic.isascii() or b"\0" in raw[:_HEAD]):  # a text may begin with “MZ”
            return kind
    if is_office_container(raw):
        return _old_office(raw, name)
    return _boxed(raw) or _marked_up(raw)


def is_office_container(raw: bytes) -> bool:
    """Whether it is what office files were before 2007, and what locked ones still are."""
    return raw.startswith(_OLE)


def _boxed(raw: bytes) -> Kind | None:
    """Formats whose mark is not at their beginning."""
    if raw.startswith(b"RIFF"):
        return _IN_RIFF.get(raw[8:12])
    if raw[4:8] == b"ftyp":
        return PICTURE if raw[8:12] in _STILL else RECORDING
    if raw.startswith(b"BM") and raw[6:10] == b"\0\0\0\0":
        return PICTURE
    if raw[8:10] == b'{"' and int.from_bytes(raw[:8], "little") < len(raw):
        return MODEL  # safetensors: the length of its header, then the header
    return next((kind for at, mark, kind in _WITHIN if raw[at : at + len(mark)] == mark), None)


def package_kind(names: Collection[str]) -> Kind | None:
    """What a zip archive with these members is where it is no mere archive."""
    return next((kind for part, kind in _IN_PACKAGE if any(part in member for member in names)), None)


def refuse(kind: Kind | None, name: str) -> None:
    """Raise NotRead where something is of a kind that is not read."""
    if kind is not None:
        raise NotRead(kind, name)


def _old_office(raw: bytes, name: str) -> Kind | None:
    """Office files before 2007 and locked ones are one container; the names of what is in it are UTF-16."""
    for part, kind in _OLD:
        if part.encode("utf-16-le") + (b"" if part.endswith("_") else b"\0\0") in raw:
            return kind
    return _OLD_SUFFIXES.get(PurePosixPath(name.lower()).suffix, OLD_FILE)


def _marked_up(raw: bytes) -> Kind | None:
    head = raw[:_HEAD].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if head.startswith(b"<svg") or (head.startswith(b"<?xml") and b"<svg" in head):
        return PICTURE
    if _MAIL_HEAD.match(head) and (b"\nmime-version:" in head or b"\nmessage-id:" in head):
        return MAIL
    return WEB_PAGE if head.startswith((b"<!doctype html", b"<html")) else None
