"""Owns single compressed files (.gz, .xz, .bz2): unpacked in memory within bounds, then read by what is inside."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from pathlib import PurePosixPath

from loralab.core.errors import UserError
from loralab.datasets.readers import MAX_BYTES, Reader, Table, read_bytes

_OPENERS = ((b"\x1f\x8b", gzip.open), (b"\xfd7zXZ\x00", lzma.open), (b"BZh", bz2.open))
_MAX_RATIO = 200
_RATIO_FROM = 10 << 20


def read(raw: bytes, name: str) -> list[Table]:
    """The tables of the file inside, which keeps its name without the last ending."""
    opener = next((opener for magic, opener in _OPENERS if raw.startswith(magic)), None)
    if opener is None:
        raise UserError(f"{name} is damaged or not a compressed file.", "Get a fresh copy of it.", code="bad_archive")
    bound = min(MAX_BYTES, max(_RATIO_FROM, _MAX_RATIO * len(raw)))
    try:
        with opener(io.BytesIO(raw)) as file:
            inner = file.read(bound + 1)
    except (OSError, EOFError, lzma.LZMAError, zlib.error, ValueError) as error:
        raise UserError(f"{name} is damaged.", "Get a fresh copy of it.", code="bad_archive") from error
    if len(inner) > bound:
        raise UserError(f"{name} unpacks to more than is safe to open.", "Unpack it yourself if you trust it.", code="unsafe_archive")
    return read_bytes(inner, str(PurePosixPath(name).with_suffix("")), packed=True)


READER = Reader(
    suffixes=(".gz", ".xz", ".bz2"),
    read=read,
    claims=lambda raw, _suffix: any(raw.startswith(magic) for magic, _ in _OPENERS),
    packs_files=True,
)
