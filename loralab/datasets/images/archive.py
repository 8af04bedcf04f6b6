"""Owns what is in a zip of pictures, and in the zips that lie in it, as several dropped at once do.

Invariants: promises about size are checked before a byte of what they are about is unpacked; a zip within is copied to a file without a
name, which is gone when the outer one is closed.
"""

from __future__ import annotations

import lzma
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from loralab.core.errors import UserError
from loralab.core.words import count, size
from loralab.datasets.formats.archives import MAX_RATIO, RATIO_FROM, content, refusal
from loralab.datasets.readers import is_hidden

MAX_FILES = 200_000
MAX_BYTES = 64 << 30  # unpacked
DEEPEST = 3  # zips around a file
ENDING = ".zip"
_BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, NotImplementedError, EOFError, OSError, ValueError, KeyError)


@dataclass(frozen=True)
class Member:
    """A file in a zip. `refused`: why it is not opened, or nothing."""

    name: str  # with forward slashes, below the names of the zips that it lies in
    archive: zipfile.ZipFile
    info: zipfile.ZipInfo
    refused: str = ""

    def content(self) -> bytes:
        """Its bytes. Raises UserError where it is damaged."""
        return content(self.archive, self.info)

    def head(self, most: int) -> bytes:
        """Its first bytes; nothing of a damaged or locked one."""
        try:
            with self.archive.open(self.info) as file:
                return file.read(most)
        except _BROKEN:
            return b""


@dataclass
class _Opening:
    """A zip that is being opened, with all in it."""

    path: Path
    stack: ExitStack
    files: int = 0
    total: int = 0
    members: list[Member] = field(default_factory=list)

    def take(self, archive: zipfile.ZipFile, below: str, depth: int) -> None:
        inside = [info for info in archive.infolist() if not info.is_dir() and not info.filename.endswith("\\")]
        self.files += len(inside)
        self.total += sum(info.file_size for info in inside)
        packed = max(1, self.path.stat().st_size)
        if self.files > MAX_FILES or self.total > MAX_BYTES or (self.total > RATIO_FROM and self.total > MAX_RATIO * packed):
            what = f"{self.path.name} would unpack to {size(self.total)} in {count(self.files, 'file')}, which is not safe to open."
            raise UserError(what, "Unpack it yourself if you trust it, and choose the folder.", code="unsafe_archive")
        for info in inside:
            name = below + info.filename.replace("\\", "/")
            refused = refusal(info)
            if not refused and is_hidden(name):
                continue
            if refused or PurePosixPath(name).suffix.lower() != ENDING:
                self.members.append(Member(name, archive, info, refused))
            else:
                self._within(archive, info, name, depth)

    def _within(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, depth: int) -> None:
        """Take what is in a zip within."""
        if depth >= DEEPEST:
            self.members.append(Member(name, archive, info, f"It is packed into more than {DEEPEST} zips."))
            return
        try:
            copy = self.stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 (the stack closes it)
            with archive.open(info) as file:
                shutil.copyfileobj(file, copy)
            inner = self.stack.enter_context(zipfile.ZipFile(copy))
        except _BROKEN:
            self.members.append(Member(name, archive, info, "It is a zip that is damaged."))
            return
        self.take(inner, f"{name[: -len(ENDING)]}/", depth + 1)


@contextmanager
def opened(path: Path) -> Generator[list[Member], None, None]:
    """What is in a zip that a person put there, in name order. Raises UserError for a damaged zip, or one that is not safe to open."""
    with ExitStack() as stack:
        try:
            archive = stack.enter_context(zipfile.ZipFile(path))
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
            raise UserError(f"{path.name} is damaged or not a zip archive.", "Make it again.", code="bad_archive") from error
        opening = _Opening(path, stack)
        opening.take(archive, "", 1)
        yield sorted(opening.members, key=lambda member: member.name)
