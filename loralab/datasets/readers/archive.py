"""Owns zip archives of example files. Invariant: every member is read, or named with the reason why not."""

from __future__ import annotations

import zipfile
from functools import partial

from loralab.core.errors import UserError
from loralab.core.records import LeftOut
from loralab.datasets.archives import content, open_archive, refusal
from loralab.datasets.readers import MAX_BYTES, MAX_FILES, Reader, Table, is_hidden, read_many


def read(raw: bytes, name: str) -> list[Table]:
    """The tables of all members in name order."""
    if b"word/document.xml" in raw:
        raise UserError(f"{name} is a Word document.", "Save it as plain text (.txt) and choose that.", code="not_text")
    archive = open_archive(raw, name, MAX_BYTES, MAX_FILES)
    members = [
        m for m in sorted(archive.infolist(), key=lambda m: m.filename) if not m.is_dir() and not (is_hidden(m.filename) and not refusal(m))
    ]
    refused = [LeftOut(row=0, source=member.filename, reason=refusal(member)) for member in members if refusal(member)]
    usable: list[zipfile.ZipInfo] = [member for member in members if not refusal(member)]
    return read_many([(member.filename, partial(content, archive, member)) for member in usable], name, refused)


def _claims(raw: bytes, suffix: str) -> bool:
    """Any zip that is not a workbook: workbooks are zips too."""
    return raw[:4] in (b"PK\x03\x04", b"PK\x05\x06") and suffix not in (".xlsx", ".xlsm") and b"xl/workbook.xml" not in raw


READER = Reader(suffixes=(".zip",), read=read, claims=_claims, packs_files=True)
