"""Owns runs and exports in a store elsewhere: an S3-compatible service, or any place that fsspec opens, a folder included.

    ADDRESS/objects/ab/ab12...   pieces of files, each named by the sha256 of what is in it
    ADDRESS/runs/NAME.json       a run or export: its files, their checksums, their pieces

Invariants: a piece that is there is never sent again, so what was cut goes on, and what two runs share lies there once; NAME.json comes
last, so that what can be fetched is whole; nothing fetched is believed before its checksums are right; keys come from the environment or
the system's keyring, and stand in no address, file or sentence.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from pydantic import Field, ValidationError

from loralab.core.digest import digest
from loralab.core.errors import LabError, Unavailable, UserError
from loralab.core.parts import unavailable
from loralab.core.records import Record
from loralab.core.words import count, size
from loralab.sharing.keeping.form import Inside, Manifest
from loralab.sharing.keeping.unpack import is_plain

PIECE = 32 << 20  # bytes: what is sent again at most after a cut
KIND, VERSION = "loralab-stored", 1
KEYRING = "LoRALab S3"  # the keyring's name for it; user names access_key and secret_key
_ADDRESS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<rest>.+)")
Note = Callable[[int, int], object]  # bytes that are done, bytes there are


class StoredFile(Inside):
    """One file: its checksum, and the pieces it is made of."""

    pieces: tuple[str, ...] = ()


class Stored(Record):
    """What NAME.json says."""

    kind: str = KIND
    version: int = VERSION
    name: str
    of: Manifest | None = None  # of a training; None: the files of an export
    files: dict[str, StoredFile] = Field(default_factory=dict)

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files.values())


@dataclass(frozen=True)
class Sent:
    """What storing came to."""

    stored: Stored
    sent_bytes: int
    sent_pieces: int
    there_already: int  # pieces

    @property
    def words(self) -> str:
        """For a person."""
        files = count(len(self.stored.files), "file")
        sent = f"{count(self.sent_pieces, 'piece')} sent ({size(self.sent_bytes)})"
        return f"{self.stored.name} is stored: {files}, {size(self.stored.bytes)}; {sent}, {self.there_already} were there already."


class Store:
    """A place elsewhere. Opening it asks nobody."""

    def __init__(self, address: str) -> None:
        self.address = checked(address)
        scheme = _ADDRESS.fullmatch(self.address)
        self.root = self.address.rstrip("/")
        try:
            self.fs: Any = fsspec.filesystem(scheme["scheme"] if scheme else "file", **_keys(self.address))
        except ValueError as error:
            raise UserError(
                f"“{address}” is no address of a store.", "Write it as s3://BUCKET/FOLDER, or name a folder.", code="no_store"
            ) from error
        except ImportError as error:
            raise unavailable("s3", "A store on S3 needs a part that is not installed here.") from error

    def _at(self, path: str) -> str:
        return f"{self.root}/{path}"

    def has(self, piece: str, length: int) -> bool:
        """Whether a piece is there whole."""
        try:
            return int(self.fs.info(self._at(_object(piece)))["size"]) == length
        except FileNotFoundError:
            return False

    def put(self, path: str, raw: bytes) -> None:
        place = self._at(path)
        if self.fs.protocol in ("file", ("file", "local")):
            self.fs.makedirs(place.rpartition("/")[0], exist_ok=True)
        self.fs.pipe_file(place, raw)

    def get(self, path: str) -> bytes:
        return bytes(self.fs.cat_file(self._at(path)))

    def names(self) -> list[str]:
        """What is stored here."""
        with speaking(self.address):
            try:
                found = self.fs.ls(self._at("runs"), detail=False)
            except FileNotFoundError:
                return []
        return sorted(PurePosixPath(str(one)).stem for one in found if str(one).endswith(".json"))

    def read(self, name: str) -> Stored:
        """What a name stands for. Raises UserError where there is none, or it is not to be trusted."""
        if not is_plain(name):
            raise UserError(f"“{name}” is no name of a run.", "See the list of what is stored there.", code="no_run")
        with speaking(self.address):
            try:
                raw = self.get(f"runs/{name}.json")
            except FileNotFoundError as error:
                there = ", ".join(self.names()[:10]) or "nothing"
                raise UserError(f"{name} is not stored at {self.address}.", f"There is: {there}.", code="no_run") from error
        try:
            found = Stored.model_validate_json(raw)
        except ValidationError as error:
            raise _damaged(name) from error
        if found.kind != KIND or found.version > VERSION:
            raise UserError(
                f"{name} was stored by a newer version of LoRALab.", "Update LoRALab, then fetch it again.", code="newer_version"
            )
        unsafe = (part for path in found.files for part in (*PurePosixPath(path).parts, path) if part in ("..", "/") or "\\" in part)
        if found.name != name or any(unsafe) or any(not re.fullmatch("[0-9a-f]{64}", p) for f in found.files.values() for p in f.pieces):
            raise UserError(f"{name} is not safe to open.", "Do not trust this store; ask who wrote it.", code="unsafe_archive")
        return found


def checked(address: str) -> str:
    """An address without keys in it. Raises UserError."""
    found = _ADDRESS.fullmatch(address.strip())
    if found is None:
        return Path(address).expanduser().resolve().as_uri() if address.strip() else _no_address()
    if "@" in found["rest"].partition("/")[0]:
        todo = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead, and write the address without them."
        raise UserError("There is a key in the address, where others could read it.", todo, code="key_in_address")
    return address.strip()


def _no_address() -> str:
    raise UserError("No store is named.", "Write it as s3://BUCKET/FOLDER, or name a folder.", code="no_store")


def _keys(address: str) -> dict[str, Any]:
    """Keys of the system's keyring, where it has some and the environment says nothing; botocore finds all others by itself."""
    if not address.startswith("s3://") or os.environ.get("AWS_ACCESS_KEY_ID"):
        return {}
    if importlib.util.find_spec("keyring") is None:
        return {}
    keyring = importlib.import_module("keyring")
    found = {"key": keyring.get_password(KEYRING, "access_key"), "secret": keyring.get_password(KEYRING, "secret_key")}
    return found if all(found.values()) else {}


# ---- there -----------------------------------------------------------------------------------------------------------------


@dataclass
class Sending:
    """Files on their way to a store, one after the other; what `pack` writes a run into."""

    store: Store
    note: Note
    total: int
    files: dict[str, Inside] = field(default_factory=dict)
    done: int = 0
    sent_bytes: int = 0
    sent_pieces: int = 0
    there_already: int = 0

    def text(self, name: str, text: str) -> None:
        self._take(name, iter([text.encode("utf-8", "surrogateescape")]))

    def file(self, name: str, path: Path) -> None:
        with path.open("rb") as source:
            self._take(name, iter(lambda: source.read(PIECE), b""))

    def _take(self, name: str, blocks: Iterator[bytes]) -> None:
        whole, pieces, length = hashlib.sha256(), list[str](), 0
        for block in blocks:
            whole.update(block)
            pieces.append(self._send(block))
            length += len(block)
            self.done += len(block)
            self.note(self.done, self.total)
        self.files[name] = StoredFile(sha256=whole.hexdigest(), bytes=length, pieces=tuple(pieces))

    def _send(self, block: bytes) -> str:
        piece = hashlib.sha256(block).hexdigest()
        if self.store.has(piece, len(block)):
            self.there_already += 1
        else:
            self.store.put(_object(piece), block)
            self.sent_bytes += len(block)
            self.sent_pieces += 1
        return piece

    def conclude(self, name: str, of: Manifest | None) -> Sent:
        """Write what it consists of, once all of it is there."""
        files = {path: file for path, file in self.files.items() if isinstance(file, StoredFile)}
        stored = Stored(name=name, of=of, files=files)
        self.store.put(f"runs/{name}.json", stored.model_dump_json().encode())
        return Sent(stored, self.sent_bytes, self.sent_pieces, self.there_already)


def _object(piece: str) -> str:
    return f"objects/{piece[:2]}/{piece}"


# ---- and back --------------------------------------------------------------------------------------------------------------


def bring(store: Store, stored: Stored, room: Path, note: Note) -> None:
    """Fetch all files into `room`; what is there from before and right is kept. Raises UserError where something is not what was stored."""
    done, total = 0, stored.bytes
    for name, file in stored.files.items():
        target = room.joinpath(*PurePosixPath(name).parts)
        if not (target.is_file() and target.stat().st_size == file.bytes and digest(target) == file.sha256):
            _bring_file(store, file, target, name, lambda here, done=done: note(done + here, total))
        done += file.bytes
        note(done, total)


def _bring_file(store: Store, file: StoredFile, target: Path, name: str, note: Callable[[int], object]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.fetching")
    have = partial.stat().st_size // PIECE if partial.is_file() else 0  # whole pieces of an earlier try
    with partial.open("r+b" if have else "wb") as out:
        for number, piece in enumerate(file.pieces):
            if number < have and hashlib.sha256(out.read(PIECE)).hexdigest() == piece:
                continue
            have = min(have, number)
            out.seek(number * PIECE)
            try:
                raw = store.get(_object(piece))
            except FileNotFoundError as error:
                raise UserError(f"A piece of {name} is missing in the store.", "Store it again, then fetch it.", code="damaged") from error
            if hashlib.sha256(raw).hexdigest() != piece:
                raise _damaged(name)
            out.write(raw)
            out.truncate()
            note(out.tell())
        out.truncate(file.bytes)
    if digest(partial) != file.sha256:
        partial.unlink()
        raise _damaged(name)
    partial.replace(target)


def _damaged(name: str) -> UserError:
    return UserError(f"{name} is not what was stored.", "Store it again, then fetch it.", code="damaged")


def room_for(home: Path, stored: Stored) -> Path:
    """Where what is on its way lies in the workspace, the same after a cut."""
    name = hashlib.sha256(json.dumps(stored.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()[:16]
    room = home / "downloads" / f"stored-{name}"
    room.mkdir(parents=True, exist_ok=True)
    return room


# ---- what goes wrong elsewhere ---------------------------------------------------------------------------------------------


class speaking:  # noqa: N801  (read as a word: with speaking(address))
    """Errors of a store and of the way to it, in plain words; keys never stand in them."""

    def __init__(self, address: str) -> None:
        self.address = address

    def __enter__(self) -> None:
        """Nothing is needed."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, LabError) or not isinstance(error, Exception):
            return
        name, where = type(error).__name__, self.address
        if isinstance(error, PermissionError) or "Credentials" in name:
            todo = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_ENDPOINT_URL where it is not Amazon's) to those of that store."
            raise UserError(f"The store at {where} does not let us in.", todo, code="no_permission") from None
        if isinstance(error, FileNotFoundError):
            raise UserError(f"There is no store at {where}.", "Make the bucket first, or check its name.", code="no_store") from None
        if "Connect" in name or "Timeout" in name or isinstance(error, ConnectionError | TimeoutError):
            todo = "Check the network and the address, then do the same again: it goes on where it was."
            raise Unavailable(f"The store at {where} could not be reached.", todo, code="no_network") from None
        if isinstance(error, OSError):
            raise UserError(f"The store at {where} could not be used ({name}).", "Check its address and rights.", code="no_store") from None
