"""Owns reading what is too large to be held: once, piece by piece, into `datasets/read/<key>/` of the workspace.

Invariants: rows kept + rows left out = rows read; a file is known by its size, its time and parts of its content, and is never held or
hashed whole; what was read stays when a reading is stopped; one process reads at a time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

from pydantic import Field, ValidationError

from loralab.core.disk import writing
from loralab.core.errors import LabError, Offered, Unavailable, UserError
from loralab.core.lock import try_lock
from loralab.core.paths import room, write_atomic
from loralab.core.records import Example, LeftOut, Record
from loralab.core.version import __version__
from loralab.core.words import size
from loralab.datasets.dataset import Loaded, examples_of, fingerprint, given, merged, question_of
from loralab.datasets.large.pieces import Piece, Place, cutter_of
from loralab.datasets.large.store import StoredExamples, Writer
from loralab.datasets.large.watch import Watch
from loralab.datasets.readers import MAX_BYTES, Table, files_below, is_note, read_bytes

LARGE = 64 << 20  # bytes from which on a file is not held
MOST_BYTES = 1 << 40  # of a folder
_MOST_LABELS = 10_000  # classes that are counted
_STORES = 4  # that are kept; the one looked at longest ago goes first
_SAVED_S = 2.0  # between two notes of how far it is
_SPOTS, _SPOT = 64, 1 << 14  # parts of a file that are hashed, bytes of one
_OTHERS = "Choose other columns or another file."
_LOOKS = 0.3  # seconds between two looks at whether another process has finished

Files = Sequence[tuple[str, Path]]


class _State(Record):
    """How far a store is."""

    file: int = 0
    place: Place = Place()
    written: tuple[int, int] = (0, 0)  # examples, bytes
    roles: dict[str, dict[str, str]] = Field(default_factory=dict)  # by file
    labels: dict[str, int] = Field(default_factory=dict)
    loaded: Loaded | None = None
    done: bool = False


def is_large(path: Path) -> bool:
    """Whether a file or folder is read piece by piece. Raises UserError where there are too many files."""
    if path.is_dir():
        return sum(_size(file) for _, file in files_below(path, MOST_BYTES)) > LARGE
    return path.is_file() and path.stat().st_size > LARGE and cutter_of(path, path.name) is not None


def load_large(path: Path, roles: dict[str, str] | None, watch: Watch, home: Path | None) -> tuple[StoredExamples, Loaded]:
    """The examples of a large file or folder, from the workspace where it was read before. Raises ReadingStopped where `watch` says so."""
    wanted, files = given(roles), _files(path)
    first = None if wanted else first_look(path)
    wanted = first.roles if first else wanted
    folder = room("datasets", home) / "read" / _key(files, wanted)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder, watch):
            state = _Reading(path, files, folder, wanted, watch).run()
        os.utime(folder)
        _make_room(folder)
    if state.loaded is None or not state.written[0]:
        reason = state.loaded.left_out[0].reason if state.loaded and state.loaded.left_out else ""
        shutil.rmtree(folder, ignore_errors=True)
        raise UserError(f"No row of {path.name} can be learned from. {reason}", _OTHERS, code="no_examples")
    loaded = state.loaded.model_copy(update={"certain": first.certain, "shape": first.shape}) if first else state.loaded
    return StoredExamples(folder, state.written[0], labels=state.labels), loaded


def first_look(path: Path) -> Loaded:
    """What the first rows of the largest file say: columns, roles and shape are those of all. Raises UserError where none says anything."""
    files = sorted(_files(path), key=lambda named: -_size(named[1]))
    for number, (name, file) in enumerate(files):
        try:
            piece = next(_pieces_of(name, file, Place()))
            return examples_of(path, piece.tables)[1]
        except LabError as error:
            if number == len(files) - 1:
                # What is offered for a small file is not for one whose first rows speak for all of them.
                raise UserError(error.problem.what, _OTHERS, code="no_examples") if isinstance(error, Offered) else error from None
    raise UserError(f"{path.name} is empty.", "Choose a folder with examples in it.", code="no_examples")


def _files(path: Path) -> Files:
    return files_below(path, MOST_BYTES) if path.is_dir() else [(path.name, path)]


def _size(file: Path) -> int:
    """Bytes of a file; none of one that somebody has taken away since the folder was listed."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _pieces_of(name: str, file: Path, place: Place) -> Iterator[Piece]:
    """A file in pieces, or whole where it is small or cannot be cut."""
    if not file.exists():
        raise UserError(f"{name} is not there any more.", "Choose the file or folder again.", code="no_file")
    n_bytes = _size(file)
    cutter = cutter_of(file, name) if n_bytes > LARGE else None
    if cutter:
        yield from cutter(file, name, place)
        return
    if n_bytes > MAX_BYTES:
        raise UserError(f"{name} is larger than 1 GB.", "Split it, or take a part of it.", code="file_too_big")
    yield Piece(read_bytes(file.read_bytes(), name), Place(), 1.0)


class _Reading:
    """One file or folder on its way into its store."""

    def __init__(self, path: Path, files: Files, folder: Path, wanted: dict[str, str], watch: Watch) -> None:
        self.path, self.files, self.folder, self.wanted, self.watch = path, files, folder, wanted, watch
        self.sizes = [_size(file) for _, file in files]
        self.state = _kept(folder)
        self.saved = time.monotonic()

    def run(self) -> _State:
        """Read what has not been read yet."""
        if self.state.done:
            return self.state
        left = sum(self.sizes[self.state.file :])
        if shutil.disk_usage(self.folder).free < 1.5 * left:
            what = f"There is no room in the workspace for what is in {self.path.name}: {size(1.5 * left)} are needed."
            raise Unavailable(what, "Free some space, and choose it again.", code="disk_full")
        writer = Writer(self.folder, self.state.written)
        try:
            for number in range(self.state.file, len(self.files)):
                for piece in self._pieces(number):
                    self._take(writer, number, piece)
                    self._save(writer, seldom=True)
                    self._tell(number, piece)
                self.state = self.state.model_copy(update={"file": number + 1, "place": Place()})
            self.state = self.state.model_copy(update={"done": True})
        finally:
            self._save(writer)
            writer.close()
        return self.state

    def _pieces(self, number: int) -> Iterator[Piece]:
        """A file in pieces. In a folder, one that cannot be read is named, and what is about the data is no example."""
        name, file = self.files[number]
        try:
            for piece in _pieces_of(name, file, self.state.place):
                notes = [table.source for table in piece.tables if self._is_note(table)]
                lost = [LeftOut(row=0, source=source, reason="A note about the data, not examples.") for source in notes]
                kept = [table for table in piece.tables if not self._is_note(table)]
                yield Piece([*kept, Table(source=name, rows=[], left_out=lost)] if lost else kept, piece.end, piece.done)
        except LabError as error:
            if len(self.files) == 1:
                raise
            lost = [LeftOut(row=0, source=name, reason=error.problem.what)]
            yield Piece([Table(source=name, rows=[], left_out=lost)], Place(), 1.0)

    def _take(self, writer: Writer, number: int, piece: Piece) -> None:
        """Convert a piece and write it down."""
        before = self.state.loaded
        try:
            examples, loaded = self._understood(piece.tables, str(number))
        except UserError as error:
            if before is None and len(self.files) == 1:
                raise
            examples, loaded = (), self._refused(piece.tables, error.problem.what)
        writer.add(examples, question_of, fingerprint)
        counted = Counter(self.state.labels)
        counted.update(example.label for example in examples if example.label is not None)
        change = {
            "file": number,
            "place": piece.end,
            "written": (writer.n, writer.at),
            "labels": dict(counted.most_common(_MOST_LABELS)),
            "roles": {**self.state.roles, str(number): loaded.roles} if examples else self.state.roles,
            "loaded": merged(before, loaded)
            if before
            else merged(loaded.model_copy(update={"n_read": 0, "left_out": (), "fields": ()}), loaded),
        }
        self.state = self.state.model_copy(update=change)

    def _is_note(self, table: Table) -> bool:
        return len(self.files) > 1 and is_note(table)

    def _understood(self, tables: Sequence[Table], file: str) -> tuple[Sequence[Example], Loaded]:
        """Examples by the roles of all, or by those of its own where a file has other columns."""
        beside = [name for name, _ in self.files]
        try:
            return examples_of(self.path, tables, self.wanted, beside=beside)
        except UserError as error:
            if error.problem.code != "no_such_column" or len(self.files) == 1:
                raise
            return examples_of(self.path, tables, self.state.roles.get(file), beside=beside)

    def _refused(self, tables: Sequence[Table], why: str) -> Loaded:
        """What is noted of a piece without a row that can be learned from."""
        lost = [one for table in tables for one in table.left_out]
        lost += [LeftOut(row=row.number, source=table.source, reason=why) for table in tables for row in table.rows]
        about = {
            "name": self.path.name,
            "path": str(self.path),
            "shape": "",
            "roles": {},
            "columns": (),
            "certain": True,
            "encoding": "utf-8",
        }
        return Loaded.model_validate({**about, "n_read": len(lost), "left_out": lost})

    def _save(self, writer: Writer, *, seldom: bool = False) -> None:
        """Write down how far it is, so that another process can go on; `seldom`: not more often than is worth a wait for the disk."""
        if seldom and time.monotonic() - self.saved < _SAVED_S:
            return
        writer.sync()
        write_atomic(self.folder / "state.json", self.state.model_dump_json())
        self.saved = time.monotonic()

    def _tell(self, number: int, piece: Piece) -> None:
        read, done = self.state.loaded.n_read if self.state.loaded else 0, sum(self.sizes[:number]) + piece.done * self.sizes[number]
        self.watch.look(read, done / (sum(self.sizes) or 1))


def _kept(folder: Path) -> _State:
    """How far a reading was; a damaged or lost part of it counts as nothing read."""
    try:
        state = _State.model_validate_json((folder / "state.json").read_bytes())
    except (OSError, ValidationError):
        return _State()
    return state if Writer.holds(folder, state.written) else _State()


def _key(files: Files, wanted: dict[str, str]) -> str:
    """What these files are known by; reading a few megabytes of any."""
    digest = hashlib.sha256(f"{__version__} {sorted(wanted.items())}".encode())
    for name, file in files:
        if not file.exists():
            continue
        stat = file.stat()
        digest.update(f"\n{name} {stat.st_size} {stat.st_mtime_ns} ".encode())
        with file.open("rb") as content:
            for spot in range(_SPOTS):
                content.seek(spot * max(0, stat.st_size - _SPOT) // (_SPOTS - 1))
                digest.update(content.read(_SPOT))
                if stat.st_size <= _SPOT:
                    break
    return digest.hexdigest()[:24]


@contextlib.contextmanager
def _alone(folder: Path, watch: Watch) -> Generator[None, None, None]:
    """The only one that writes to this store; waits for another process that reads the same file."""
    with (folder / "lock").open("a+b") as file:
        while not try_lock(file.fileno()):
            watch.look(0, 0.0)
            time.sleep(_LOOKS)
        yield


def _make_room(newest: Path) -> None:
    """Throw the stores away that nobody has looked at for longest."""
    stores = sorted((one for one in newest.parent.iterdir() if one.is_dir()), key=lambda one: one.stat().st_mtime)
    for one in stores[:-_STORES]:
        with (one / "lock").open("a+b") as file:
            free = try_lock(file.fileno())
        if free and one != newest:
            shutil.rmtree(one, ignore_errors=True)
