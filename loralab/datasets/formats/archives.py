"""Owns opening zip archives safely. Invariant: nothing is unpacked to disk, and size and ratio are bounded before a byte is unpacked."""

from __future__ import annotations

import io
import lzma
import stat
import zipfile
import zlib
from pathlib import PurePosixPath

from loralab.core.errors import UserError

MAX_RATIO = 200  # text rarely shrinks below a thirtieth; archives made to exhaust memory shrink a thousandfold
RATIO_FROM = 10 << 20  # bytes unpacked below which the ratio does not matter


def members(raw: bytes) -> frozenset[str]:
    """Names of what is in a zip archive; none where the bytes are no whole archive."""
    if raw[:4] not in (b"PK\x03\x04", b"PK\x05\x06"):
        return frozenset()
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            return frozenset(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return frozenset()


def open_archive(raw: bytes, name: str, max_bytes: int, max_files: int) -> zipfile.ZipFile:
    """The archive, after its promises about size were checked. Raises UserError when it is damaged or suspicious."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(raw))
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise UserError(f"{name} is damaged or not a zip archive.", "Make it again.", code="bad_archive") from error
    members = archive.infolist()
    total = sum(member.file_size for member in members)
    if len(members) > max_files or total > max_bytes or (total > RATIO_FROM and total > MAX_RATIO * max(1, len(raw))):
        raise UserError(
            f"{name} would unpack to {total / 1e6:,.0f} MB in {len(members):,} files, which is not safe to open.",
            "Unpack it yourself if you trust it, and choose the folder.",
            code="unsafe_archive",
        )
    return archive


def refusal(member: zipfile.ZipInfo) -> str:
    """Why a member is not opened; empty when it may be."""
    path = PurePosixPath(member.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        return "Its path points outside the archive."
    if stat.S_ISLNK(member.external_attr >> 16):
        return "It is a link, not a file."
    if member.flag_bits & 1:
        return "It is protected with a password."
    return ""


def content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """A member's bytes; never more than it promised. Raises UserError when it lies or is damaged."""
    try:
        with archive.open(member) as file:
            raw = file.read(member.file_size + 1)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise UserError(f"{member.filename} in the archive is damaged.", "Make the archive again.", code="bad_archive") from error
    if len(raw) > member.file_size:
        raise UserError(f"{member.filename} unpacks to more than the archive says.", "Do not trust this archive.", code="unsafe_archive")
    return raw
