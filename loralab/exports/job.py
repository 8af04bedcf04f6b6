"""Owns the Export job: check, make room, let the format write, put the result in its place.

Invariant: what lies under exports/<run>/ is whole; a run that was stopped, failed or ran out of disk leaves what was there before.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from loralab.core.digest import digest
from loralab.core.errors import LabError, UserError
from loralab.core.events import Noted, Saved, fold, read
from loralab.core.jobs import ExportJob
from loralab.core.parity import FILE as PARITY
from loralab.core.records import Artifact
from loralab.core.words import size
from loralab.exports import Format, Source, formats
from loralab.exports._files import put_in_place, sums_of, zip_folder
from loralab.exports.parity.gate import named, prove
from loralab.models import fingerprint
from loralab.reports.card import origin_of
from loralab.runs.run_folder import RunFolder, read_job

TOLD = ("README.md", PARITY)  # what is said of an export, and written anew by every later check
SPARE = 64 << 20  # bytes left free for everything else


class Stopped(Exception):
    """The person asked for a stop: the export ends between two phases."""


def run(folder: RunFolder) -> dict[str, Any]:
    """Export the adapter of a run as the ExportJob says.

    Returns format, variant, path (the zip or the folder), folder, bytes, sha256, sums (by file) and what the format measured.
    """
    asked = folder.asked(ExportJob)
    source = open_source(folder.path.parent, asked.of, asked.model, asked.adapter)
    known = formats(source.task)
    form = known.get(asked.format)
    if form is None:
        raise UserError(f"There is no format called “{asked.format}”.", f"Choose one of: {', '.join(known)}.", code="unknown_format")
    source = replace(source, variant=_variant(form, asked.variant))
    problem = form.refuse(source)
    if problem:
        raise LabError(problem.what, problem.todo, code=problem.code, part=problem.part)
    home = folder.path.parent.parent
    place = home / "exports" / source.run
    place.mkdir(parents=True, exist_ok=True)
    check_disk(place, form.needs_bytes(source))
    return _export(form, source, place, folder)


def _variant(form: Format, asked: str) -> str:
    """The variant asked for, or the usual one. Raises UserError when the format has none of that name."""
    if asked and asked not in form.variants:
        todo = f"Choose one of: {', '.join(form.variants)}." if form.variants else "Leave the variant out."
        raise UserError(f"The format “{form.name}” has no variant called “{asked}”.", todo, code="unknown_variant")
    return asked or next(iter(form.variants), "")


def open_source(runs_folder: Path, of: str, model_folder: str, adapter_folder: str) -> Source:
    """What the export is made from, read from the training run's folder. Raises UserError when that is gone."""
    made_by = runs_folder / of
    job = read_job(made_by)
    events, _ = read(made_by / "events.jsonl")
    model = Path(model_folder or job.model)
    base = origin_of(str(job.plan.get("base_model", "")), model)
    changed = fingerprint.changed(made_by, model)
    view, adapter = fold(job.run, events), Path(adapter_folder)
    return Source(job.run, job.plan, view, model, adapter, base, events=tuple(events), changed=changed)


def check_disk(place: Path, needed: int) -> None:
    """Raises UserError with both numbers when the disk is too full; before anything is written."""
    free = shutil.disk_usage(place).free
    if free < needed + SPARE:
        what = f"This export needs {size(needed + SPARE)} and the disk has {size(free)} left."
        raise UserError(what, "Free some space, then export again.", code="disk_full")


def _export(form: Format, source: Source, place: Path, folder: RunFolder) -> dict[str, Any]:
    name = f"{form.name}-{source.variant}" if source.variant else form.name
    building, target = place / f".{name}.writing", place / name
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()

    def note(phase: str) -> None:
        if folder.stop_asked:
            raise Stopped
        folder.emit(Noted(text="", phase=phase))

    try:
        facts = form.export(source, building, note)
        parity = prove(form, source, building, note, folder)
        facts |= parity.facts()
        target = place / named(parity, name)
        note("putting it in its place")
        put_in_place(building, target)
        if parity.proven:  # what an earlier try left under suspicion
            shutil.rmtree(place / named(parity, name, differs=True), ignore_errors=True)
    except Stopped:
        return {"outcome": "stopped", "what": "Stopped as you asked; nothing was changed."}
    finally:
        shutil.rmtree(building, ignore_errors=True)
    path = target
    if form.zipped:
        folder.emit(Noted(text="", phase="packing"))
        zipped = named(parity, f"{source.run}-{form.name}")
        path = place / f"{zipped}.zip"
        zip_folder(target, path, zipped)
    files = [path] if path.is_file() else [p for p in path.iterdir() if p.is_file()]
    sums = digest(path if path.is_file() else target / "SHA256SUMS")
    artifact = Artifact(kind="export", path=str(path), digest=sums, bytes=sum(p.stat().st_size for p in files))
    folder.emit(Saved(artifact=artifact))
    result = {
        "of": source.run,
        "format": form.name,
        "variant": source.variant,
        "path": str(path),
        "folder": str(target),
        "bytes": artifact.bytes,
        "sha256": sums,
        "sums": {name: found for name, found in sums_of(target).items() if name not in TOLD},
    }
    return result | facts | _handed_over(form, source, target, facts, folder)


def _handed_over(form: Format, source: Source, target: Path, facts: dict[str, Any], folder: RunFolder) -> dict[str, Any]:
    """Give the finished folder to its program, only where that was asked for. That it did not work is told; the export stays."""
    if not folder.asked(ExportJob).install or form.hand_over is None:
        return {}
    if facts.get("parity") == "differs":
        return {"installed": "", "not_installed": "It was not passed on, because it does not answer as what was trained."}
    try:
        return form.hand_over(source, target, lambda phase: folder.emit(Noted(text="", phase=phase)))
    except LabError as error:
        return {"installed": "", "not_installed": f"{error.problem.what} {error.problem.todo}".strip()}
