"""Owns files of examples that programs send, in one piece or in several: `LORALAB_HOME/sharing/uploads/<id>/`, then `datasets/`.

Invariants: a broken-off upload goes on where it was; what is not whole is never taken for a file of examples; a name that came from
outside never leads anywhere.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from loralab.core import disk, paths
from loralab.core.errors import UserError
from loralab.core.records import Record

NOTE, PART = "upload.json", "part"
_ID = re.compile(r"file-[0-9a-f]{24}")
_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)")
FORGOTTEN = 7 * 86400.0  # seconds after which what was never finished goes
SPARE = 256 << 20  # bytes that stay free


class Upload(Record):
    """How far a file is. `total` is None while nobody said how long it will be."""

    id: str
    name: str
    total: int | None = None
    received: int = 0
    created: float = 0.0
    complete: bool = False


class Uploads:
    """The uploads of a workspace."""

    def __init__(self, home: Path, most: int) -> None:
        self.home, self.most = home, most
        self._busy: set[str] = set()
        self._lock = threading.Lock()

    def begin(self, name: str, total: int | None = None) -> Upload:
        """A new upload. Raises UserError where there is no room for it."""
        self._forget()
        self._room_for(total or 0)
        found = Upload(id=f"file-{secrets.token_hex(12)}", name=plain_name(name), total=total, created=time.time())
        with disk.writing(self.home):
            self._write(found)
            (self._folder(found.id) / PART).touch()
        return found

    def get(self, upload: str) -> Upload:
        """How far one is. Raises UserError where there is none."""
        if _ID.fullmatch(upload):
            with suppress(OSError, ValidationError):
                found = Upload.model_validate_json((self._folder(upload) / NOTE).read_bytes())
                part = self._folder(upload) / PART
                return found if found.complete else found.model_copy(update={"received": part.stat().st_size})
        raise UserError("There is no such file.", "Send it first.", code="no_upload")

    def all(self) -> list[Upload]:
        """Those that are whole, newest first."""
        found: list[Upload] = []
        for path in (self.home / "sharing" / "uploads").glob(f"*/{NOTE}"):
            with suppress(UserError):
                found.append(self.get(path.parent.name))
        return sorted((one for one in found if one.complete), key=lambda one: -one.created)

    async def add(self, upload: Upload, start: int, blocks: AsyncIterator[bytes]) -> Upload:
        """Append bytes that begin at `start`; those that are there already are passed over. Raises UserError for a gap."""
        with self._lock:
            if upload.id in self._busy:
                raise UserError("This file is being sent already.", "Wait for that to end.", code="upload_busy")
            self._busy.add(upload.id)
        try:
            path = self._folder(upload.id) / PART
            here = path.stat().st_size
            if start > here:
                raise UserError(f"Bytes {here} to {start} are missing.", f"Go on from byte {here}.", code="upload_gap")
            skip = here - start
            with disk.writing(self.home), path.open("ab") as file:
                async for block in blocks:
                    fresh, skip = block[skip:], max(0, skip - len(block))
                    self._bounded(upload, file.tell() + len(fresh))
                    file.write(fresh)
        finally:
            self._busy.discard(upload.id)
        return self.get(upload.id)

    def finish(self, upload: Upload) -> Upload:
        """It is whole: put it among the data sets."""
        place = self.place(upload)
        with disk.writing(self.home):
            place.parent.mkdir(parents=True, exist_ok=True)
            part = self._folder(upload.id) / PART
            size = part.stat().st_size
            shutil.move(part, place)
            done = upload.model_copy(update={"complete": True, "received": size, "total": size})
            self._write(done)
        return done

    def remove(self, upload: str) -> None:
        """Delete one, whole or not. Raises UserError where there is none."""
        found = self.get(upload)
        shutil.rmtree(self.place(found).parent, ignore_errors=True)
        shutil.rmtree(self._folder(found.id), ignore_errors=True)

    def place(self, upload: Upload) -> Path:
        """Where a whole one lies."""
        return paths.room("datasets", self.home) / upload.id / upload.name

    def _folder(self, upload: str) -> Path:
        return self.home / "sharing" / "uploads" / upload

    def _write(self, upload: Upload) -> None:
        paths.write_atomic(self._folder(upload.id) / NOTE, json.dumps(upload.model_dump()))

    def _bounded(self, upload: Upload, size: int) -> None:
        if size > self.most or (upload.total is not None and size > upload.total):
            raise UserError("This file is longer than it was said to be.", "Send it again from its beginning.", code="upload_too_long")

    def _room_for(self, size: int) -> None:
        if size > self.most or shutil.disk_usage(self.home).free < size + SPARE:
            raise UserError("There is no room for a file of this size.", "Free some space, or send a smaller one.", code="disk_full")

    def _forget(self) -> None:
        for path in (self.home / "sharing" / "uploads").glob(f"*/{NOTE}"):
            with suppress(UserError):
                found = self.get(path.parent.name)
                if not found.complete and time.time() - found.created > FORGOTTEN:
                    shutil.rmtree(path.parent, ignore_errors=True)


def plain_name(name: str) -> str:
    """A file's name from outside as one that is safe here."""
    last = re.sub(r"[^\w.-]+", "_", paths.last_part(name.replace("\x00", "")).strip()).lstrip(".")[-80:]
    return last or "examples.zip"


def range_of(header: str) -> tuple[int, int, int | None] | None:
    """First byte, last byte and total of a Content-Range; None where it is none."""
    found = _RANGE.fullmatch(header.strip())
    if not found:
        return None
    first, last, total = int(found[1]), int(found[2]), None if found[3] == "*" else int(found[3])
    return (first, last, total) if first <= last and (total is None or last < total) else None
