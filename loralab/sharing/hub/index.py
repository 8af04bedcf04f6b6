"""Owns a folder of adapters that anybody can host: zips, and one index file that says what each is and how good it was found.

A network drive, a USB stick or a plain web server's folder will do; nothing runs there. Invariants: the index is written last, when
the files are whole; what it says of a file is believed only where name, size and checksum are right.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from loralab.core import disk, paths
from loralab.core.digest import digest
from loralab.core.errors import UserError
from loralab.core.jobs import ExportJob
from loralab.core.records import Record
from loralab.exports.job import open_source
from loralab.models import fingerprint
from loralab.reports.card import model_card
from loralab.runs import runs
from loralab.sharing.hub.review import clinical, title_of

INDEX, KIND, VERSION = "loralab-index.json", "loralab-index", 1
MOST_BYTES, MOST_ENTRIES, MOST_CARD = 32 << 20, 5000, 200_000
_FILE = re.compile(r"[\w][\w .()-]{0,150}\.zip")


class Listed(Record):
    """One adapter of a folder."""

    file: str
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    title: str = Field(max_length=200)
    base: str = Field(max_length=200)  # a Hub id, or the name of a model that comes with LoRALab
    base_print: dict[str, str] = Field(default_factory=dict)
    licence: str = Field("", max_length=200)
    learned: str = Field("", max_length=2000)  # both answers of the verdict, in words
    usable: str = Field("", max_length=2000)
    heldout: int = Field(0, ge=0)  # examples they rest on
    card: str = Field("", max_length=MOST_CARD)


class Index(Record):
    """What loralab-index.json says."""

    kind: str = KIND
    version: int = VERSION
    name: str = Field("", max_length=200)
    adapters: Annotated[tuple[Listed, ...], Field(max_length=MOST_ENTRIES)] = ()


def read_index(folder: Path) -> Index:
    """The index in a folder. Raises UserError where there is none, or none that can be used."""
    path = folder if folder.name == INDEX else folder / INDEX
    if not path.is_file():
        todo = f"Choose a folder with the file {INDEX} in it; “Make a gallery” writes one."
        raise UserError(f"There is no gallery in {folder}.", todo, code="no_gallery")
    if path.stat().st_size > MOST_BYTES:
        raise UserError(f"{INDEX} is too large to be one.", "Ask who made it.", code="bad_gallery")
    try:
        raw = json.loads(path.read_bytes())
        if isinstance(raw, dict) and isinstance(raw.get("version"), int) and raw["version"] > VERSION and raw.get("kind") == KIND:
            raise UserError("This gallery was made by a newer version of LoRALab.", "Update LoRALab.", code="newer_version")
        found = Index.model_validate(raw)
    except (OSError, ValueError, ValidationError, RecursionError) as error:
        raise UserError(
            f"{INDEX} in {path.parent} is damaged.", "Copy the folder again, or ask who made it.", code="bad_gallery"
        ) from error
    if found.kind != KIND or any(not _FILE.fullmatch(one.file) for one in found.adapters):
        raise UserError(f"{INDEX} in {path.parent} is no gallery of LoRALab's.", "Ask who made it.", code="bad_gallery")
    return found


def write_index(home: Path, exports: Sequence[str], folder: Path, name: str = "") -> Index:
    """Put finished adapter exports into a folder with an index, beside what is in it already; a run's newer one takes the older's place.

    Raises UserError for what is no adapter that can go; then the folder is as it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    before = read_index(folder) if (folder / INDEX).is_file() else Index(name=name or folder.name)
    adding = [_listed(home, export) for export in exports]
    needed = sum(one.bytes for one, _ in adding)
    if shutil.disk_usage(folder).free < needed + (16 << 20):
        raise UserError(f"There is too little room in {folder}.", "Free some space there.", code="disk_full")
    with disk.writing(folder):
        for one, place in adding:
            _copied(place, folder / one.file)
        names = {one.file for one, _ in adding}
        kept = tuple(one for one in before.adapters if one.file not in names)
        made = Index(name=name or before.name, adapters=(*(one for one, _ in adding), *kept))
        paths.write_atomic(folder / INDEX, made.model_dump_json(indent=1) + "\n")
    return made


def _listed(home: Path, export: str) -> tuple[Listed, Path]:
    job, ending = runs.job(home, export), runs.view(home, export).ending
    place = Path(str(ending.result.get("path") or "")) if ending else Path()
    if not isinstance(job, ExportJob) or job.format != "adapter" or place.suffix != ".zip" or not place.is_file():
        raise UserError("Only adapters go into a gallery.", "Make the run's adapter first (In Python, Small).", code="no_export")
    if clinical(home, job.of):
        what = "A run on medical pictures goes into no gallery that others open."
        raise UserError(what, "Use “Keep everything” for yourself.", code="clinical")
    source = open_source(home / "runs", job.of, job.model, job.adapter)
    found, sha256 = source.view.conclusion, digest(place)
    title = title_of(home, job.of)
    counts = source.view.measured
    slug = re.sub(r"[^A-Za-z0-9_-]+", "-", title).strip("-")[:60] or "adapter"
    listed = Listed(
        file=f"{slug}-{job.of}.zip" if slug != job.of else f"{slug}.zip",
        bytes=place.stat().st_size,
        sha256=sha256,
        title=title,
        base=source.base.reference,
        base_print=fingerprint.known(home / "runs" / job.of),
        licence=source.base.licence,
        learned=found.learned_words if found else "",
        usable=found.usable_words if found else "",
        heldout=counts.n_heldout if counts else 0,
        card=_without_front(model_card(job.of, source.plan, source.base, source.view, examples=False))[:MOST_CARD],
    )
    return listed, place


def _without_front(card: str) -> str:
    return card.split("---\n", 2)[-1].lstrip() if card.startswith("---") else card


def _copied(source: Path, target: Path) -> None:
    """Whole or not at all."""
    writing = target.with_name(f".{target.name}.writing")
    try:
        with source.open("rb") as old, writing.open("wb") as new:
            shutil.copyfileobj(old, new, 1 << 20)
            new.flush()
            os.fsync(new.fileno())
        os.replace(writing, target)
    finally:
        writing.unlink(missing_ok=True)
