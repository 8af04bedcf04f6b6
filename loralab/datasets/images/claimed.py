"""Owns whether something is a data set of pictures at all, before anything is unpacked.

Invariant: writing that comes with some pictures (a chat, exported notes, a web page) is not taken for a data set of pictures: it is read
for its words. A few names and the beginnings of a few files decide.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from loralab.core.errors import UserError
from loralab.datasets.formats import kinds
from loralab.datasets.images import archive
from loralab.datasets.images.clinic import dicom
from loralab.datasets.images.clinic.marked import KEPT
from loralab.datasets.images.names import Index, plain, side_of, stem
from loralab.datasets.images.place import is_picture, names_of

MANY = 20  # pictures for each file of words, from which on the words are a note about the pictures
FEW = 10  # pictures below which also a note is what somebody wants read
_HEAD = 65536
_LOOKED = 20  # files without an ending
_WORDS = (
    *(".md", ".markdown", ".html", ".htm", ".txt", ".text", ".docx", ".doc", ".odt", ".rtf", ".pdf", ".epub", ".pptx"),
    *(".eml", ".srt", ".vtt"),
)
_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".xlsx", ".xls", ".ods", ".parquet")
_CHATS = ("_chat.txt", "messages.html", "result.json", "message_1.json", "conversations.json", "chat.html")
_NOTES = ("readme", "license", "licence", "notice", "copying", "changelog", "authors", "credits", "citation", "attribution", "dataset_card")
_LISTS = ("classes", "labels", "names", "class_names", "obj", "categories", "predefined_classes", "notes", "trainval", "imagesets", "info")
_SHOWN = re.compile(rb"!\[|<img\b|\.(?:png|jpe?g|gif|webp)\b", re.IGNORECASE)
_OFFICE = ("[Content_Types].xml", "mimetype", "META-INF/container.xml", "META-INF/MANIFEST.MF", "AndroidManifest.xml")

Peek = Callable[[str], bytes]  # the beginning of a file


def is_pictures(path: Path) -> bool:
    """Whether a zip, a folder or a single file is to be learned from as pictures. False also where it cannot be opened."""
    path = Path(path).expanduser()
    try:
        if path.is_file() and not zipfile.is_zipfile(path):
            return _is_one(path)
        if path.is_file():
            return _is_zip_of_pictures(path)
        return _is_set(names_of(path), lambda name: _beginning(path / name))
    except (UserError, OSError):
        return False


def _is_one(path: Path) -> bool:
    """A single file is a picture by its name and by what is in it. One of another name is named for what it is, and not taken for one."""
    return (is_picture(path.name) or not path.suffix) and kinds.kind_of(_beginning(path), path.name) is kinds.PICTURE


def _is_zip_of_pictures(path: Path) -> bool:
    with archive.opened(path) as members:
        inside = {member.name: member for member in members}
        return not any(name in _OFFICE for name in inside) and _is_set(list(inside), lambda name: inside[name].head(_HEAD))


def _is_set(names: Sequence[str], peek: Peek) -> bool:
    if KEPT in names:
        return True
    pictures = [name for name in names if is_picture(name)]
    clinical = _clinical(names, peek)
    pictures += [name for name in clinical if not is_picture(name)]
    if not pictures:
        return False
    if any(PurePosixPath(plain(name)).name in _CHATS for name in names):
        return False
    if len(clinical) >= FEW:
        return True  # with reports beside them, which name patients and are not to be read for their words
    stems = {stem(name) for name in pictures}
    words = [name for name in names if name.lower().endswith(_WORDS) and not _is_list(name, stems, len(pictures))]
    tables = [name for name in names if name.lower().endswith(_TABLES) and stem(name) not in stems]
    index = Index(pictures)
    foreign = [*words, *(name for name in tables[:20] if not _names_pictures(peek(name), index))]
    if any(_SHOWN.search(peek(name)) for name in foreign[:20]):
        return False
    return len(pictures) >= MANY * len(foreign)


def _clinical(names: Sequence[str], peek: Peek) -> list[str]:
    """Files of a clinic (DICOM): by their endings, or, where they have none, all such if one of the first is marked as one."""
    bare = [name for name in names if not PurePosixPath(name).suffix]
    marked = any(peek(name)[128:132] == b"DICM" for name in bare[:_LOOKED])
    return [name for name in names if name.lower().endswith(dicom.ENDINGS)] + (bare if marked else [])


def _is_list(name: str, stems: set[str], pictures: int) -> bool:
    """Whether a text belongs to the pictures: labels of one of them, a list of names or classes, a note beside many."""
    own = stem(name)
    if own in stems or own in _LISTS or side_of(own.split(".")[0]):
        return True
    folders = {plain(folder) for folder in PurePosixPath(name).parts[:-1]}
    if own.startswith(_NOTES):
        return pictures >= FEW
    return name.lower().endswith(".txt") and bool(folders & {"imagesets", "labels"})


def _names_pictures(head: bytes, index: Index) -> bool:
    """Whether a table or a list says something of pictures: by name, in most of its first lines, or as COCO and its like do."""
    if b'"messages"' in head or b'"conversations"' in head:
        return False
    if b'"images"' in head or b'"annotations"' in head or b'"categories"' in head or b'"shapes"' in head:
        return True
    lines = head.decode("utf-8", errors="replace").splitlines()[1:21] or [head.decode("utf-8", errors="replace")]
    found = sum(any(index.known(cell) for cell in re.split(r'[,;\t"|]+', line) if cell.strip()) for line in lines)
    return 2 * found >= len(lines)


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD)
