"""Owns the files a set of pictures is made of: a folder where it lies, or a zip that is unpacked once into the workspace.

Invariants: nothing is written outside the workspace, no link is followed, a zip's promises about size are checked before a byte is
unpacked, and a folder made from a zip is whole or not there.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import zipfile
from collections.abc import Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from loralab.core import disk, paths
from loralab.core.errors import UserError
from loralab.core.records import LeftOut
from loralab.core.words import size
from loralab.datasets.images import archive
from loralab.datasets.images.archive import MAX_FILES
from loralab.datasets.images.names import Index
from loralab.datasets.images.opened import ENDINGS, UNOPENED
from loralab.datasets.images.pairing import Paired, pair
from loralab.datasets.readers import is_hidden

DICOM = frozenset((".dcm", ".dicom", ".dic", ".ima"))
WHOLE = 256 << 20  # bytes of a file up to which all of it is hashed; of a larger one its ends, size and date
MOST_TEXT = 64 << 20  # bytes of a file with labels
DAMAGED, TWICE = "It is damaged in the archive.", "Its name is in the archive more than once."
_UNUSED = frozenset((".mp4", ".mov", ".avi", ".mkv", ".zip", ".exe", ".pt", ".pth", ".onnx", ".h5", ".npy", ".npz", ".ckpt"))


@dataclass(frozen=True)
class Place:
    """Files below a folder: `names` relative to it, with forward slashes, in order. `lost`: members of a zip that were not unpacked."""

    root: Path
    names: tuple[str, ...]
    title: str  # what the person chose, by its name
    key: str  # the same for the same content
    lost: tuple[LeftOut, ...] = ()
    sizes: dict[str, int] = field(default_factory=dict)
    at: dict[str, str] = field(default_factory=dict)  # name -> where it lies, where that is not its name
    loaded: dict[str, bytes] = field(default_factory=dict)  # files that are in memory only

    @cached_property
    def pictures(self) -> tuple[str, ...]:
        """Names of what is a picture by its ending."""
        return tuple(name for name in self.names if is_picture(name))

    @cached_property
    def paired(self) -> Paired:
        """Which pictures are masks of which."""
        return pair(self.pictures)

    @cached_property
    def index(self) -> Index:
        """Finds the picture that a list means; never a mask where pictures come with masks."""
        return Index(list(self.paired.masks) if self.paired.plausible else self.pictures)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Names of all else."""
        return tuple(name for name in self.names if not is_picture(name))

    def ending(self, *endings: str) -> tuple[str, ...]:
        """Names with one of these endings."""
        return tuple(name for name in self.names if name.lower().endswith(endings))

    def path(self, name: str) -> Path:
        """Where a file lies."""
        return self.root / self.at.get(name, name)

    def read(self, name: str) -> bytes:
        """A text file's bytes; of a huge one nothing. Raises UserError where it cannot be read."""
        if name in self.loaded:
            return self.loaded[name]
        try:
            path = self.path(name)
            return path.read_bytes() if path.stat().st_size <= MOST_TEXT else b""
        except OSError as error:
            raise UserError(f"{name} could not be opened.", "Check whether it may be read.", code="no_file") from error


def is_picture(name: str) -> bool:
    """By its ending."""
    return PurePosixPath(name).suffix.lower() in ENDINGS | UNOPENED | DICOM


def names_of(path: Path) -> tuple[str, ...]:
    """Names of the files in a zip or below a folder, without unpacking or opening any. Raises UserError for a damaged zip or too many."""
    if not path.is_file():
        return tuple(_below(path))
    with archive.opened(path) as members:
        return tuple(member.name for member in members)


def place_of(path: Path, home: Path | None) -> Place:
    """The files of a zip, a folder or a single picture. Raises UserError where there are none, or where they are not safe to unpack."""
    if not path.exists():
        raise UserError(f"There is no file or folder at {path}.", "Check the name.", code="no_file")
    if path.is_dir():
        sizes = _below(path)
        return Place(path, tuple(sizes), path.name, _key(str(path.resolve()).encode()), sizes=sizes)
    if zipfile.is_zipfile(path):
        return _unpacked(path, home)
    return Place(path.parent, (path.name,), path.name, fingerprint(path), sizes={path.name: path.stat().st_size})


def fingerprint(path: Path) -> str:
    """The same for the same content, wherever it lies; of a very large file for the same size, date and ends."""
    found = path.stat()
    total = hashlib.sha256()
    with path.open("rb") as file:
        if found.st_size <= WHOLE:
            while block := file.read(1 << 20):
                total.update(block)
        else:
            total.update(f"{found.st_size} {found.st_mtime_ns}".encode() + file.read(1 << 20))
            file.seek(-(1 << 20), os.SEEK_END)
            total.update(file.read())
    return total.hexdigest()[:24]


def store(home: Path | None) -> Path:
    """The workspace's folder for pictures."""
    return paths.room("pictures", paths.room("datasets", home))


@contextmanager
def made_whole(folder: Path) -> Generator[Path, None, None]:
    """A folder to write into beside `folder`; it becomes `folder` once all is written, and is gone where that fails."""
    beside = folder.parent / f".{folder.name}.{secrets.token_hex(4)}"
    try:
        with disk.writing(folder.parent):
            beside.mkdir(parents=True)
            yield beside
            if folder.exists():  # another process was as quick
                shutil.rmtree(beside)
            else:
                beside.rename(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        if folder.exists():
            return
        raise


def _key(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()[:24]


def _below(folder: Path) -> dict[str, int]:
    """Names and sizes of the files below a folder, links left alone."""
    found: dict[str, int] = {}
    for base, folders, names in os.walk(folder, followlinks=False):
        folders.sort()
        for name in names:
            path = Path(base, name)
            relative = path.relative_to(folder).as_posix()
            if is_hidden(relative) or path.is_symlink() or not path.is_file():
                continue
            found[relative] = path.stat().st_size
        if len(found) > MAX_FILES:  # asked while walking: somebody may have chosen a whole disk
            what = f"{folder.name or folder} holds more than {MAX_FILES:,} files."
            raise UserError(what, "Choose a smaller folder.", code="folder_too_big")
    return dict(sorted(found.items()))


def _unpacked(path: Path, home: Path | None) -> Place:
    """The files of a zip, unpacked at its first use."""
    with archive.opened(path) as inside:
        nested = any(member.archive is not inside[0].archive for member in inside)
        key = fingerprint(path) + ("-zips" if nested else "")  # one that was unpacked before zips within were is unpacked anew
        folder = store(home) / key
        lost = tuple(LeftOut(row=0, source=member.name, reason=member.refused) for member in inside if member.refused)
        usable = [m for m in inside if not m.refused and PurePosixPath(m.name).suffix.lower() not in _UNUSED]
        broken = folder / "not unpacked.txt"
        if not folder.exists():
            total = sum(member.info.file_size for member in usable)
            if shutil.disk_usage(folder.parent).free < total + disk.RESERVE:
                raise UserError(f"Unpacking {path.name} takes {size(total)}, and the disk has less.", "Free some space.", code="disk_full")
            with made_whole(folder) as beside:
                failed = _unpack(usable, beside / "files")
                paths.write_atomic(beside / broken.name, "\n".join(failed))
    lines = [line.partition("\t") for line in broken.read_text("utf-8").split("\n") if line] if broken.exists() else []
    lost += tuple(LeftOut(row=0, source=name, reason=why or DAMAGED) for name, _, why in lines if is_picture(name))
    sizes = _below(folder / "files")
    return Place(folder / "files", tuple(sizes), path.name, key, lost, sizes)


def _unpack(members: Collection[archive.Member], into: Path) -> list[str]:
    """Write members below a folder that is not there yet; gives the names of those that could not be, each with the reason after a tab."""
    failed: list[str] = []
    into.mkdir()
    for member in members:
        target, why = into / member.name, ""
        try:
            raw = member.content()
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                file.write(raw)
        except FileExistsError:
            why = TWICE
        except (UserError, NotADirectoryError, IsADirectoryError, ValueError):  # damaged, or a name the disk does not take
            why = DAMAGED
        except OSError as error:
            if disk.is_full(error):
                raise
            why = DAMAGED
        if why:
            failed.append(f"{' '.join(member.name.split())}\t{why}")
    return failed
