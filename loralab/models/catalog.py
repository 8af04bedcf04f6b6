"""Owns which models there are and where they lie: the catalogue, Hub ids, local folders, and the cache of downloaded models.

Invariants: looking never downloads and never asks the network; clean-up removes only what LoRALab itself downloaded.
"""

from __future__ import annotations

import difflib
import hashlib
import itertools
import json
import os
import re
import shutil
from collections.abc import Collection
from pathlib import Path

from loralab.core.errors import Problem, UserError
from loralab.core.paths import DATA, STARTER, room
from loralab.models import model_folder
from loralab.models.drawing import (
    DrawingEntry,
    check_drawing,
    check_drawing_folder,
    drawing_entry,
    drawing_folder,
    drawing_models,
    draws_through_diffusers,
)
from loralab.models.model_check import ModelCheck, ModelEntry, absent, packed, present
from loralab.models.model_folder import MARKER, template_for
from loralab.models.seeing import sees
from loralab.models.vision import VisionEntry, bundled_folder, check_folder, check_vision, vision_entry, vision_models

__all__ = ["Catalog", "ModelCheck", "ModelEntry", "catalogue", "close_names", "hub_entry", "template_for"]

GGUF = b"GGUF"  # how such a file begins
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def catalogue() -> tuple[ModelEntry, ...]:
    """The catalogue as it ships, smallest first."""
    rows = json.loads((DATA / "models.json").read_text("utf-8"))["models"]
    return tuple(ModelEntry.model_validate(row) for row in rows)


def hub_entry(name: str) -> ModelEntry | None:
    """The catalogue's entry for a short name or Hub id, or None."""
    wanted = name.strip().lower()
    return next((e for e in catalogue() if wanted in (e.name, e.hub_id.lower()) and wanted), None)


class Catalog:
    """The models of one workspace."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def entries(self) -> tuple[ModelEntry, ...]:
        """The catalogue, smallest first, each with whether it is on this computer."""
        return tuple(self._seen(entry) for entry in catalogue())

    def seeing_here(self) -> list[str]:
        """Names of the catalogue's models that see and are on this computer."""
        hub = [entry for entry in vision_models() if entry.source == "hub"]
        return [entry.name for entry in hub if (self.folder(entry.name) / "config.json").is_file()]

    def entry(self, name: str) -> ModelEntry | None:
        """The catalogue's entry for a short name or Hub id, or None."""
        found = hub_entry(name)
        return self._seen(found) if found else None

    def folder(self, name: str) -> Path:
        """Where a model lies or will lie. Raises UserError when the name can be neither a model nor a folder."""
        entry, pictures = hub_entry(name), vision_entry(name) or drawing_entry(name)
        if pictures:
            return _bundled(pictures) if pictures.source == "bundled" else self._hub_folder(pictures.hub_id)
        if entry:
            return self._hub_folder(entry.hub_id) if "/" in name else self._entry_folder(entry)
        if is_file(name):
            return self._unfolded(Path(name).expanduser().resolve())
        local = Path(name).expanduser()
        if local.is_dir() and name.strip():
            return local.resolve()
        if _looks_local(name):
            raise UserError(f"There is no folder {local}.", "Check the path.", code="no_folder")
        if _HUB_ID.fullmatch(name.strip()):
            return self._hub_folder(name.strip())
        raise UserError(f"There is no model called “{name}”.", _did_you_mean(name), code="unknown_model")

    def tokenizer_folder(self, name: str) -> Path:
        """The folder whose tokenizer.json belongs to a model. Raises UserError when it is not on this computer."""
        folder = self.folder(name)
        if not (folder / "tokenizer.json").is_file():
            check = self.check(name)
            problem = (
                check.problems[0]
                if check.problems
                else Problem(code="no_tokenizer", what="The tokenizer is missing.", todo="Download the model again.")
            )
            raise UserError(problem.what, problem.todo, code=problem.code)
        return folder

    def check(self, name: str) -> ModelCheck:
        """Whether a catalogue name, Hub id or folder can be trained, from what lies on this computer."""
        try:
            folder = self.folder(name)
        except UserError as error:
            return ModelCheck(name=name, ok=False, folder=Path(name or "."), problems=(error.problem,), words=str(error))
        if known := _pictured(name, folder):
            return known
        entry = self.entry(name)
        if is_file(name) and not (folder / "config.json").is_file():
            try:
                return packed(name, folder, Path(name).expanduser().resolve())
            except UserError as error:
                return ModelCheck(name=name, ok=False, folder=folder, problems=(error.problem,), words=str(error))
        if not (folder / "config.json").is_file() and (entry or not folder.is_dir()):
            return absent(name, folder, entry, close_names(name))
        return check_folder(name, folder) if entry is None and _sees(folder) else present(name, folder, entry)

    def take_file(self, file: Path) -> Path:
        """Move a GGUF file that somebody dropped into the workspace; returns where it lies. Raises UserError for any other file."""
        with file.open("rb") as opened:
            begins = opened.read(len(GGUF))
        if not is_file(file.name) or begins != GGUF:
            what = f"{file.name} is not a model in one file: those end in .gguf and begin with that word."
            raise UserError(what, "Drop such a file, or type the path of a model's folder above.", code="no_gguf")
        places = (room("models", self.home) / f"{file.stem}{f'-{n}' if n > 1 else ''}.gguf" for n in itertools.count(1))
        place = next(place for place in places if not place.exists())
        shutil.move(file, place)
        return place

    # ---- the cache -------------------------------------------------------------------------------------------------------
    def downloaded(self) -> dict[Path, int]:
        """Folders LoRALab downloaded, with their bytes, the least recently used first."""
        found = [marker.parent for marker in room("models", self.home).glob(f"*/{MARKER}")]
        return {folder: _bytes(folder) for folder in sorted(found, key=self._last_used)}

    def cache_bytes(self) -> int:
        """Bytes of all downloaded models, unfinished downloads included."""
        partial = sum(_bytes(p) for p in room("models", self.home).glob("*.partial"))
        return sum(self.downloaded().values()) + partial

    def clean_up(self, limit_bytes: int, keep: Collection[str] = ()) -> list[str]:
        """Remove downloaded models, least recently used first, until they fit `limit_bytes`; returns the folder names removed.

        Models named in `keep` (names, Hub ids or folders) stay, and so does every folder that LoRALab did not download.
        """
        kept = {self.folder(name) for name in keep}
        total, removed = self.cache_bytes(), list[str]()
        for folder, size in self.downloaded().items():
            if total <= limit_bytes:
                break
            if folder not in kept:
                shutil.rmtree(folder)
                removed.append(folder.name)
                total -= size
        return removed

    def _last_used(self, folder: Path) -> float:
        """Seconds since 1970: the newest run on this model, otherwise its download. Read from the runs, so nothing must be kept in step."""
        newest = (folder / MARKER).stat().st_mtime
        for job in room("runs", self.home).glob("*/job.json"):
            moment = job.stat().st_mtime
            if moment > newest and json.dumps(str(folder)) in job.read_text("utf-8"):
                newest = moment
        return newest

    def _seen(self, entry: ModelEntry) -> ModelEntry:
        folder = self._entry_folder(entry)
        if not (folder / "config.json").is_file():
            return entry
        if entry.source != "bundled":
            return entry.model_copy(update={"present": True})
        shape = model_folder.shape_of(model_folder.read_json(folder / "config.json"))  # the starter may be replaced by a better one
        return entry.model_copy(update={"present": True, "parameters": shape.parameters, **shape.model_dump()})

    def _unfolded(self, file: Path) -> Path:
        """Where the folder made of a GGUF file lies or will lie. Raises UserError where there is no such file."""
        if not file.is_file():
            raise UserError(f"There is no file {file}.", "Check the path.", code="no_file")
        about = file.stat()
        mark = hashlib.sha256(f"{file} {about.st_size} {about.st_mtime_ns}".encode()).hexdigest()[:8]
        return self.home / "models" / f"{file.stem}-{mark}"

    def _entry_folder(self, entry: ModelEntry) -> Path:
        """Of a model that comes as a package, the Hub's unsqueezed copy is taken where that is here."""
        if entry.source == "bundled":
            return STARTER
        original = self._hub_folder(entry.hub_id)
        return self.home / "models" / entry.name if entry.package and not (original / "config.json").is_file() else original

    def _hub_folder(self, hub_id: str) -> Path:
        return self.home / "models" / hub_id.replace("/", "--")


def _bundled(entry: VisionEntry | DrawingEntry) -> Path:
    """Where a starter for pictures lies."""
    return drawing_folder() if isinstance(entry, DrawingEntry) else bundled_folder()


def _pictured(name: str, folder: Path) -> ModelCheck | None:
    """The check of a model for pictures: of the list, or in a folder of the library diffusers; None where it is neither."""
    if drawing := drawing_entry(name):
        return check_drawing(drawing, folder)
    if seeing := vision_entry(name):
        return check_vision(seeing, folder)
    return check_drawing_folder(name, folder) if draws_through_diffusers(folder) else None


def _sees(folder: Path) -> bool:
    try:
        return sees(model_folder.read_json(folder / "config.json"))
    except ValueError:  # the check of a model that reads says what is damaged
        return False


def is_file(name: str) -> bool:
    """Whether a name means a GGUF file on this computer."""
    return name.strip().lower().endswith(".gguf")


def _looks_local(name: str) -> bool:
    return name.startswith((".", "~", os.sep)) or "\\" in name or name.count("/") > 1 or Path(name).is_absolute()


def close_names(name: str) -> list[str]:
    """Up to three catalogue names that look like what was typed."""
    every = (*catalogue(), *vision_models(), *drawing_models())
    spellings = {text: e.name for e in every for text in (e.name, e.hub_id.lower(), e.hub_id.lower().partition("/")[2]) if text}
    close = difflib.get_close_matches(name.strip().lower(), list(spellings), n=5, cutoff=0.6)
    return list(dict.fromkeys(spellings[text] for text in close))[:3]


def _did_you_mean(name: str) -> str:
    found = close_names(name)
    if found:
        return f"Did you mean {' or '.join(found)}?"
    return "Choose one from the list, or give a Hub id (owner/name) or a folder."


def _bytes(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
