"""Owns the download of a model into the workspace, as a worker's job.

Invariants: the size is known and there is room before the first byte of weights; a model folder is whole or absent (files gather in
<folder>.partial, which is renamed at the end); stopping, losing the network or a power cut lose nothing: the next start goes on.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loralab.core.errors import Unavailable, UserError
from loralab.core.events import Noted, Saved
from loralab.core.jobs import DownloadJob, JobFolder
from loralab.core.paths import write_atomic
from loralab.core.records import Artifact
from loralab.core.words import size
from loralab.models import hub
from loralab.models.catalog import MARKER
from loralab.models.hub import HubModel, check_on_hub
from loralab.models.model_folder import obstacles, read_json, weight_files

__all__ = ["check_on_hub", "run"]

SPARE = 200_000_000  # bytes of disk left free for everything else
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
    if (target / "config.json").is_file():
        return {"model": asked.model, "folder": str(target), "bytes": 0, "what": "This model is on this computer already."}
    model = hub.look_up(asked.model)
    if model.problems:
        raise UserError(model.problems[0].what, model.problems[0].todo, code=model.problems[0].code)
    partial = target.with_name(f"{target.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    _make_room(model, partial)
    folder.emit(Noted(text=f"Downloading {model.hub_id}: {size(model.bytes)}.", phase="downloading", fraction=0.0))
    try:
        _fetch(model, partial, _Transfer(folder, model.bytes))
    except Stopped:
        return {"outcome": "stopped", "model": model.hub_id, "what": "Stopped; what is here is kept and the next download goes on from it."}
    if model.pickled:
        _convert(partial, folder)
    _finish(model, partial, target)
    folder.emit(Saved(artifact=Artifact(kind="model", path=str(target), bytes=model.bytes)))
    return {"model": model.hub_id, "folder": str(target), "bytes": model.bytes, "seconds": round(time.time() - started, 1)}


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
        _fetch(model, partial, _Transfer(folder, model.bytes))
    except Stopped:
        return {"outcome": "stopped", "model": model.hub_id, "what": "Stopped; what is here is kept and the next download goes on from it."}
    with (partial / name).open("rb") as file:
        whole = file.read(4) == b"GGUF"
    if not whole:
        shutil.rmtree(partial)
        raise Unavailable(f"What came as {name} is no GGUF file.", "Try again later, or choose another.", code="incomplete_model")
    target.mkdir(parents=True, exist_ok=True)
    os.replace(partial / name, place)
    shutil.rmtree(partial)
    folder.emit(Saved(artifact=Artifact(kind="model", path=str(place), bytes=model.bytes)))
    return {"model": model.hub_id, "file": str(place), "bytes": model.bytes}


def _make_room(model: HubModel, partial: Path) -> None:
    """Raise Unavailable when the disk cannot take what is still missing."""
    here = sum(p.stat().st_size for p in partial.rglob("*") if p.is_file())
    missing = max(0, model.bytes - here) + (model.bytes if model.pickled else 0)  # converting needs both forms for a moment
    free = shutil.disk_usage(partial).free
    if missing + SPARE > free:
        what = f"{model.hub_id} needs {size(missing)} more and {size(free)} of disk are free."
        raise Unavailable(what, "Free some space or remove old models (models --clean-up), then start again.", code="disk_full")


@dataclass
class _Transfer:
    """How far a download is; tells the run, and stops it where the person asked to. Bytes."""

    folder: JobFolder
    total: int
    done: int = 0  # of files that are whole
    current: int = 0  # of the file on its way
    told: float = 0.0  # monotonic seconds

    def moved(self, count: int) -> None:
        """Some bytes arrived. Raises Stopped, which the hub's library answers by keeping what it has."""
        self.current += count
        if self.folder.stop_asked:
            raise Stopped
        if time.monotonic() - self.told >= EVERY:
            self.told = time.monotonic()
            have = self.done + self.current
            self.folder.emit(Noted(text="", phase="downloading", fraction=min(1.0, have / max(1, self.total))))

    def meter(self) -> type[Any]:
        """A progress bar that draws nothing and counts here."""
        from tqdm import tqdm

        moved = self.moved

        class Meter(tqdm):  # pyright: ignore[reportMissingTypeArgument]  (generic only in its stubs)
            def __init__(self, *args: Any, **settings: Any) -> None:  # tqdm's signature, which the hub's library calls
                settings["disable"] = True
                super().__init__(*args, **settings)
                moved(int(settings.get("initial") or 0))

            def update(self, n: float | None = 1) -> bool | None:
                moved(int(n or 0))
                return super().update(n)

        return Meter


def _fetch(model: HubModel, partial: Path, transfer: _Transfer) -> None:
    from huggingface_hub import constants, hf_hub_download

    constants.DOWNLOAD_CHUNK_SIZE = CHUNK
    meter = transfer.meter()
    for file in model.files:
        transfer.current = 0
        transfer.moved(0)
        hub.asked(
            model.hub_id,
            lambda name=file.name: hf_hub_download(model.hub_id, name, revision=model.revision, local_dir=partial, tqdm_class=meter),
        )
        transfer.done += file.bytes


def _convert(partial: Path, folder: JobFolder) -> None:
    folder.emit(Noted(text="Converting the weights to the safe format.", phase="converting"))
    importlib.import_module("loralab.sessions.convert").pickles_to_safetensors(
        partial
    )  # by name: the app, which also reads this file, has no torch


def _finish(model: HubModel, partial: Path, target: Path) -> None:
    """Check the whole, mark it as ours and put it in place in one step."""
    problems = obstacles(read_json(partial / "config.json"), {p.name for p in partial.iterdir()})
    if problems:
        raise UserError(problems[0].what, problems[0].todo, code=problems[0].code)
    missing = [p.name for p in weight_files(partial) if not p.is_file()]
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
