"""Owns zip archives of example files. Invariant: every member is read, or named with the reason why not."""

from __future__ import annotations

import zipfile
from functools import partial

from loralab.core.records import LeftOut
from loralab.datasets.formats import kinds
from loralab.datasets.formats.archives import content, members, open_archive, refusal
from loralab.datasets.readers import MAX_BYTES, MAX_FILES, Reader, Table, is_hidden, read_many

DOCUMENTS = (".xlsx", ".xlsm", ".docx", ".docm", ".dotx", ".epub", ".odt", ".ott", ".ods", ".ots")
_MAIN = ("xl/workbook.", "word/document", "META-INF/container.xml")


def read(raw: bytes, name: str) -> list[Table]:
    """The tables of all members in name order."""
    kinds.refuse(kinds.package_kind(members(raw)), name)
    archive = open_archive(raw, name, MAX_BYTES, MAX_FILES)
    files = [
        m for m in sorted(archive.infolist(), key=lambda m: m.filename) if not m.is_dir() and not (is_hidden(m.filename) and not refusal(m))
    ]
    refused = [LeftOut(row=0, source=member.filename, reason=refusal(member)) for member in files if refusal(member)]
    usable: list[zipfile.ZipInfo] = [member for member in files if not refusal(member)]
    return read_many([(member.filename, partial(content, archive, member)) for member in usable], name, refused)


def _claims(raw: bytes, suffix: str) -> bool:
    """Any zip that is no document: workbooks and Word documents are zips too, and a damaged one is known by its ending only."""
    if raw[:4] not in (b"PK\x03\x04", b"PK\x05\x06") or suffix in DOCUMENTS:
        return False
    inside = members(raw)
    return not inside >= {"mimetype", "content.xml"} and not any(name.startswith(_MAIN) for name in inside)


READER = Reader(suffixes=(".zip",), read=read, claims=_claims, packs_files=True)
