"""Owns bringing runs and exports to a store and back: what of them goes, and what becomes of it here.

Invariants: a training may go on meanwhile, what is stored is a moment of it that it can be resumed from; fetched, it is the same run, with
its safety copies, or nothing is there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from loralab.core.errors import UserError
from loralab.core.jobs import TrainJob
from loralab.models.catalog import Catalog
from loralab.runs.run_folder import read_job
from loralab.sharing.keeping import pack
from loralab.sharing.keeping.store import Note, Sending, Sent, Store, Stored, bring, room_for, speaking
from loralab.sharing.keeping.unpack import ParsePlan, free_name, settle


def store_run(home: Path, run: str, store: Store, note: Note, *, data: bool = False) -> Sent:
    """Store a training as it is now: log, safety copies, what it made; with `data` its examples. Raises LabError in plain words."""
    folder = home / "runs" / run
    members = pack.members_of(home, run, data=data)
    copies = [(f"run/checkpoints/{path.name}", path) for path in sorted((folder / "checkpoints").glob("step-*.pt"))]
    sending = Sending(store, note, sum(path.stat().st_size for _, path in [*members, *copies] if path.exists()))
    with speaking(store.address):
        for name, path in copies:  # before the log: what that tells of is there
            with contextlib.suppress(FileNotFoundError):  # a training that goes on has put a newer one in its place
                path.stat()
                sending.file(name, path)
        of = pack.write(home, run, members, {}, sending, data=data)
        return sending.conclude(run, of)


def store_export(export: str, folder: Path, store: Store, note: Note) -> Sent:
    """Store the files of a finished export."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    sending = Sending(store, note, sum(path.stat().st_size for path in files))
    with speaking(store.address):
        for path in files:
            sending.file(path.relative_to(folder).as_posix(), path)
        return sending.conclude(export, None)


def fetch(home: Path, catalog: Catalog, store: Store, name: str, parse: ParsePlan, out: Path | None, note: Note) -> str | Path:
    """Bring back what `name` stands for: a run under its own id, or an export's files into the folder `out`. Raises LabError."""
    stored = store.read(name)
    if stored.of is None and (out is None or (out.exists() and any(out.iterdir()))):
        raise UserError(f"{name} is an export, and needs an empty folder.", "Name one with --out.", code="exists")
    room = room_for(home, stored)
    if stored.of is None and out is not None:
        with speaking(store.address):
            bring(store, stored, room, note)
        shutil.copytree(room, out, dirs_exist_ok=True)
        shutil.rmtree(room, ignore_errors=True)
        return out
    return _fetch_run(home, catalog, store, stored, room, parse, note)


def _fetch_run(home: Path, catalog: Catalog, store: Store, stored: Stored, room: Path, parse: ParsePlan, note: Note) -> str:
    said = stored.of
    runs = home / "runs"
    runs.mkdir(exist_ok=True)
    if said is None or not all(name.startswith(("run/", "data/")) or "/" not in name for name in stored.files):
        raise UserError(f"{stored.name} is not safe to open.", "Do not trust this store; ask who wrote it.", code="unsafe_archive")
    run = free_name(runs, said)
    with speaking(store.address):
        bring(store, stored, room, note)
    made = settle(home, catalog, said, room, run, f"the store at {store.address}", parse)
    shutil.rmtree(room, ignore_errors=True)
    return made


def export_folder(home: Path, export: str, result: Mapping[str, object]) -> Path:
    """Where the files of a finished export lie. Raises UserError where they are gone."""
    folder = Path(str(result.get("folder") or os.devnull))
    if isinstance(read_job(home / "runs" / export), TrainJob) or not folder.is_dir():
        raise UserError("What was made is not there any more.", "Make it again.", code="no_export")
    return folder
