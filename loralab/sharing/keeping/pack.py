"""Owns packing a run: everything that makes it what it is, in one zip with a checksum of each file.

Invariants: the zip appears whole or not at all; safety copies, logs of processes and links stay behind.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from loralab.core import disk
from loralab.core.digest import digest
from loralab.core.errors import UserError
from loralab.core.jobs import TrainJob
from loralab.core.paths import DATA, last_part, model_name
from loralab.core.version import __version__
from loralab.core.words import size
from loralab.models import fingerprint
from loralab.reports.card import origin_of
from loralab.runs.run_folder import read_job
from loralab.sharing.keeping.form import KIND, MANIFEST, RUN_FILES, VERSION, Inside, Manifest, without_places
from loralab.sharing.patients import require_no_patients

MOMENT = (1980, 1, 1, 0, 0, 0)  # the same content gives the same zip
STORED = (".safetensors", ".zip", ".png", ".jpg", ".jpeg", ".webp", ".parquet", ".gz", ".xz")  # hardly shrink
Note = Callable[[int, int], object]  # bytes that are done, bytes there are
SPARE = 64 << 20  # bytes left free for everything else


class Into(Protocol):
    """Where a run is written to: `files` is what is there so far, by its name inside."""

    files: dict[str, Inside]

    def text(self, name: str, text: str) -> None: ...
    def file(self, name: str, path: Path) -> None: ...


@dataclass
class _Zip:
    """The archive being written, and what is in it so far."""

    archive: zipfile.ZipFile
    note: Note
    total: int
    done: int = 0
    files: dict[str, Inside] = field(default_factory=dict)

    def text(self, name: str, text: str) -> None:
        raw = text.encode("utf-8", "surrogateescape")
        with self.archive.open(_entry(name), "w") as packed:
            packed.write(raw)
        self.files[name] = Inside(sha256=hashlib.sha256(raw).hexdigest(), bytes=len(raw))

    def file(self, name: str, path: Path) -> None:
        with path.open("rb") as source, self.archive.open(_entry(name), "w", force_zip64=True) as packed:
            total, written = hashlib.sha256(), 0
            while block := source.read(1 << 20):
                self.done += len(block)
                self.note(self.done, self.total)
                packed.write(block)
                total.update(block)
                written += len(block)
        self.files[name] = Inside(sha256=total.hexdigest(), bytes=written)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, MOMENT)
    entry.compress_type = zipfile.ZIP_STORED if name.lower().endswith(STORED) else zipfile.ZIP_DEFLATED
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    return entry


def pack(
    home: Path, run: str, out: Path, papers: Mapping[str, str], *, data: bool = False, note: Note = lambda done, total: None
) -> Manifest:
    """Write a run that has ended, with its verdict, card, curves and answers, into the zip `out`; returns what is in it.

    `papers`: texts to be read without LoRALab, by name. `data`: the examples, too. `note` hears how many bytes are in it of how many, and
    may raise to end it. Raises UserError where it cannot be kept; LabError where the disk does not take it. There is no file then, and one
    that was there before is as it was.
    """
    members = members_of(home, run, data=data)
    total = sum(path.stat().st_size for _, path in members)
    _room_for(total, out)
    writing = out.with_name(f".{out.name}.writing")
    try:
        with disk.writing(out.parent), writing.open("wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                into = _Zip(archive, note, total)
                found = write(home, run, members, papers, into, data=data)
                archive.writestr(_entry(MANIFEST), found.model_dump_json(indent=1))
            file.flush()
            os.fsync(file.fileno())
        with disk.writing(out.parent):
            os.replace(writing, out)
    finally:
        with contextlib.suppress(OSError):
            writing.unlink(missing_ok=True)
    return found


def members_of(home: Path, run: str, *, data: bool) -> list[tuple[str, Path]]:
    """The files of a training, with their names inside. Raises UserError where it is none, or its examples are gone."""
    folder = home / "runs" / run
    dataset = _training(folder)[1]
    require_no_patients(home, run)
    if data and not dataset.exists():
        raise UserError(f"The examples ({dataset.name or 'none'}) are not where they were.", "Keep the run without them.", code="no_file")
    return [*_run_files(folder), *(_data_files(dataset) if data else ())]


def _training(folder: Path) -> tuple[TrainJob, Path]:
    job = read_job(folder)
    if not isinstance(job, TrainJob):
        raise UserError("Only a training can be kept whole.", "Choose a training.", code="no_training")
    return job, Path(str(job.plan.get("dataset") or ""))


def write(home: Path, run: str, members: Sequence[tuple[str, Path]], papers: Mapping[str, str], into: Into, *, data: bool) -> Manifest:
    """Write a training's files, without a path of this computer in them; what is in it then."""
    folder = home / "runs" / run
    job, dataset = _training(folder)
    places = {"run": folder, "bundled": DATA, "home": folder.parents[1]}
    places |= {"base": Path(job.model)} if Path(job.model).is_absolute() else {}
    places |= {"data": dataset} if dataset.is_absolute() and (data or not dataset.is_relative_to(DATA)) else {}
    for name, path in members:
        if name.endswith((".json", ".jsonl")) and name.startswith("run/"):
            text = path.read_bytes().decode("utf-8", "surrogateescape")
            if name == "run/job.json":
                text = _portable(text)
            into.text(name, without_places(text, places))
        else:
            into.file(name, path)
    for name, text in papers.items():
        into.text(name, text)
    return _manifest(folder, job, dataset, into.files, data=data)


def _portable(text: str) -> str:
    """job.json without what only this computer knows: of a base in a folder of its own its name, of examples that stay here theirs."""
    raw = json.loads(text)
    plan = raw.get("plan") or {}
    if base := str(plan.get("base_model") or ""):
        plan["base_model"] = model_name(base)
    raw["plan"] = plan
    return json.dumps(raw, ensure_ascii=False, indent=2)


def _manifest(folder: Path, job: TrainJob, dataset: Path, files: dict[str, Inside], *, data: bool) -> Manifest:
    base = origin_of(str(job.plan.get("base_model") or ""), Path(job.model))
    return Manifest(
        kind=KIND,
        version=VERSION,
        made_by=f"LoRALab {__version__}",
        run=folder.name,
        title=job.title,
        task=str(job.plan.get("task") or "text"),
        base=base.reference,
        base_print=fingerprint.known(folder),
        dataset=last_part(str(dataset)),
        data=data,
        files=files,
    )


def _run_files(folder: Path) -> Iterator[tuple[str, Path]]:
    for name in RUN_FILES:
        if (folder / name).is_file():
            yield f"run/{name}", folder / name
    yield from _below(folder / "artifacts", "run/artifacts")
    for page in sorted((folder.parents[1] / "exports" / folder.name).glob("*.html")):  # the page that answers by itself, where it was made
        yield f"page-{page.name}", page


def _data_files(dataset: Path) -> Iterator[tuple[str, Path]]:
    """The examples under their own name. Only data/<name> is known to the run, so one file and a whole folder are told alike."""
    if dataset.is_file():
        yield f"data/{dataset.name}", dataset
    else:
        yield from _below(dataset, f"data/{dataset.name}")


def _below(folder: Path, top: str) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield f"{top}/{path.relative_to(folder).as_posix()}", path


def _room_for(needed: int, out: Path) -> None:
    if not out.parent.is_dir():
        raise UserError(f"There is no folder {out.parent}.", "Choose a folder that is there.", code="no_folder")
    free = shutil.disk_usage(out.parent).free
    if free < needed + SPARE:
        what = f"Keeping this run needs up to {size(needed + SPARE)} and the disk has {size(free)} left."
        raise UserError(what, "Free some space, or keep it without its examples.", code="disk_full")


def same_adapter(one: Path, sha256: str) -> bool:
    """Whether an adapter's weights are those of this checksum."""
    return one.is_file() and digest(one) == sha256
