"""Owns opening a kept run: looked at whole before anything of it is believed, then put where runs lie, all of it or nothing.

Invariants: nothing is written outside the workspace, whatever the archive says; a run of the same name is never touched; the run has the
verdict, the curves and the answers it had, and says where it is from.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import ValidationError

from loralab.core import paths
from loralab.core.errors import LabError, Problem, UserError
from loralab.core.events import Noted, append, read
from loralab.core.jobs import TrainJob, parse_job
from loralab.core.paths import DATA
from loralab.core.words import size
from loralab.datasets.formats.archives import MAX_RATIO, RATIO_FROM, refusal
from loralab.models import fingerprint
from loralab.models.catalog import Catalog
from loralab.sharing.keeping.form import KIND, MANIFEST, MARK, VERSION, Manifest, with_places
from loralab.sharing.keeping.pack import same_adapter

MOST_FILES, MOST_BYTES = 200_000, 64 << 30
MOST_MANIFEST = 64 << 20
SPARE = 64 << 20  # bytes left free for everything else
WEIGHTS = "run/artifacts/adapter/adapter_model.safetensors"
AGAIN = "Copy or download the file again."
READABLE = ("run/", "data/")  # what is unpacked; the rest is for people without LoRALab

ParsePlan = Callable[[dict[str, Any]], object]


def is_kept(path: Path) -> bool:
    """Whether a file is a zip that says it holds a kept run."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return MANIFEST in archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return False


def unpack(home: Path, catalog: Catalog, path: Path, parse: ParsePlan) -> str:
    """Make the run that is in a kept file; returns its id, the same as it had where that is free.

    Raises UserError, and leaves nothing, where the file is damaged, unsafe, made by a newer version, or here already.
    """
    runs = paths.room("runs", home)
    with TemporaryDirectory(dir=home, prefix=".opening-") as room:
        try:
            with zipfile.ZipFile(path) as archive:
                said = _manifest(archive, path.name)
                members = _members(archive, said, path)
                run = free_name(runs, said)
                _extract(archive, members, said, Path(room))
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
            raise _damaged(path.name) from error
        return settle(home, catalog, said, Path(room), run, path.name, parse)


def _damaged(name: str) -> UserError:
    return UserError(f"{name} is damaged.", AGAIN, code="damaged")


# ---- before a byte is unpacked -----------------------------------------------------------------------------------------------


def _manifest(archive: zipfile.ZipFile, name: str) -> Manifest:
    entry = archive.getinfo(MANIFEST)
    if entry.file_size > MOST_MANIFEST or refusal(entry):
        raise _unsafe(name)
    raw = json.loads(archive.read(entry))
    version = raw.get("version") if isinstance(raw, dict) else None
    if not isinstance(version, int) or raw.get("kind") != KIND:
        raise UserError(f"{name} is not a run that LoRALab kept.", "Choose a file that “Keep everything” made.", code="not_kept")
    if version > VERSION:
        raise UserError(f"{name} was made by a newer version of LoRALab.", "Update LoRALab, then open it again.", code="newer_version")
    try:
        found = Manifest.model_validate(raw)
    except ValidationError as error:
        raise _damaged(name) from error
    if not is_plain(found.run) or not (is_plain(found.dataset) or not found.dataset):
        raise _unsafe(name)
    return found


def is_plain(run: str) -> bool:
    """Whether this is a name, and not a path."""
    return 0 < len(run) <= 200 and run == PurePosixPath(run).name and run.isprintable() and not run.startswith(".") and "\\" not in run


def _unsafe(name: str) -> UserError:
    return UserError(f"{name} is not safe to open.", "Do not trust this file; ask where it came from.", code="unsafe_archive")


def _members(archive: zipfile.ZipFile, said: Manifest, path: Path) -> list[zipfile.ZipInfo]:
    """What is in it, held against what it says. Raises UserError before anything is written."""
    every = [member for member in archive.infolist() if not member.is_dir()]
    names = [member.filename for member in every]
    total = sum(member.file_size for member in every)
    swollen = total > RATIO_FROM and total > MAX_RATIO * max(1, path.stat().st_size)
    if len(every) > MOST_FILES or total > MOST_BYTES or swollen or any(map(refusal, every)) or len(set(names)) < len(names):
        raise _unsafe(path.name)
    if set(names) != {*said.files, MANIFEST} or any(said.files[m.filename].bytes != m.file_size for m in every if m.filename != MANIFEST):
        raise _damaged(path.name)
    wanted = [member for member in every if member.filename.startswith(READABLE)]
    needed = sum(member.file_size for member in wanted) + SPARE
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        what = f"Opening {path.name} needs {size(needed)} and the disk has {size(free)} left."
        raise UserError(what, "Free some space, then open it again.", code="disk_full")
    return wanted


def free_name(runs: Path, said: Manifest) -> str:
    """The run's own id, or one like it where another run is called so. Raises UserError where this very run is here."""
    if not (runs / said.run).exists():
        return said.run
    weights = said.files.get(WEIGHTS)
    if weights and same_adapter(runs / said.run / WEIGHTS.removeprefix("run/"), weights.sha256):
        raise UserError("This run is here already.", f"Open it from the list: it is called {said.run}.", code="already_here")
    return next(name for n in range(2, 10_000) if not (runs / (name := f"{said.run}-{n}")).exists())


def _extract(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], said: Manifest, room: Path) -> None:
    for member in members:
        target = room.joinpath(*PurePosixPath(member.filename).parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        total, left = hashlib.sha256(), member.file_size
        with archive.open(member) as packed, target.open("wb") as file:
            while block := packed.read(1 << 20):
                left -= len(block)
                if left < 0:
                    raise _unsafe(Path(str(archive.filename)).name)
                total.update(block)
                file.write(block)
        if left or total.hexdigest() != said.files[member.filename].sha256:
            raise _damaged(Path(str(archive.filename)).name)


# ---- what it becomes here ----------------------------------------------------------------------------------------------------


def settle(home: Path, catalog: Catalog, said: Manifest, room: Path, run: str, name: str, parse: ParsePlan) -> str:
    """Make the run of what lies in `room` as run/ and data/, under the id `run`; the last step puts it there. Raises UserError."""
    target, folder = home / "runs" / run, room / "run"
    data = home / "datasets" / "kept" / run
    model, problem = base_here(catalog, said)
    inside = room / "data"
    only = next(iter(sorted(inside.iterdir())), None) if inside.is_dir() else None
    places = {"run": target, "base": model, "bundled": DATA, "home": home, "data": data / (only.name if only else said.dataset)}
    try:
        _rewrite(folder, places, run, parse, catalog)
    except (OSError, ValueError, LabError) as error:
        raise _damaged(name) from error
    about = f"Opened from {name}, kept by {said.made_by or 'LoRALab'}: it is the run as it was there."
    append(folder / "events.jsonl", Noted(text=about, code="opened"), *([Noted(text=str(problem))] if problem else []))
    if only:
        data.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(data, ignore_errors=True)
        os.replace(inside, data)
    os.replace(folder, target)  # the last step: before it there is no run
    return run


def _rewrite(folder: Path, places: Mapping[str, Path], run: str, parse: ParsePlan, catalog: Catalog) -> None:
    """Put this computer's places into the run's files, and hold each against its type."""
    for path in (*folder.rglob("*.json"), *folder.rglob("*.jsonl")):
        raw = path.read_bytes()
        if path.name != "events.jsonl" and MARK.encode() in raw:
            path.write_bytes(with_places(raw.decode("utf-8"), places).encode())
    lines = (folder / "events.jsonl").read_bytes().decode("utf-8", "replace").split("\n")  # other ends of lines may stand in a text
    told = [with_places(line, places) for line in lines if line and _of_the_run(line)]
    (folder / "events.jsonl").write_bytes("".join(f"{line}\n" for line in told).encode())
    job = parse_job((folder / "job.json").read_bytes())
    if not isinstance(job, TrainJob) or not read(folder / "events.jsonl")[0]:
        raise ValueError("no training")
    plan = job.plan | {"base_model": _called(catalog, str(job.plan.get("base_model") or ""), places["base"])}
    parse(plan)
    kept = job.model_copy(update={"run": run, "model": str(places["base"]), "plan": plan})
    paths.write_atomic(folder / "job.json", kept.model_dump_json(indent=2))


def _called(catalog: Catalog, name: str, folder: Path) -> str:
    """What the base is called here: as it was, where that means this very folder, else the folder."""
    try:
        return name if catalog.folder(name) == folder else str(folder)
    except UserError:
        return str(folder)


def _of_the_run(line: str) -> bool:
    """Whether a line may stand: what was saved elsewhere than in the run's own folder is nobody's business here."""
    try:
        raw = json.loads(line)
    except ValueError:
        return True  # a line that was damaged there: who reads it says so
    return (
        not isinstance(raw, dict)
        or raw.get("type") != "saved"
        or str((raw.get("artifact") or {}).get("path", "")).startswith("loralab://run/")
    )


def base_here(catalog: Catalog, said: Manifest) -> tuple[Path, Problem | None]:
    """The folder of the run's base on this computer, told by its fingerprint; or where it would lie, and what is to be done."""
    try:
        named = catalog.folder(said.base)
    except UserError:
        named = catalog.home / "models" / said.base.replace("/", "--")
    others = sorted(path.parent for path in (catalog.home / "models").glob("*/config.json"))
    for folder in (named, *others):
        if (folder / "config.json").is_file() and _same(folder, said.base_print):
            return folder, None
    here = (named / "config.json").is_file()
    what = f"Its base model “{said.base}” is {'another one' if here else 'not'} on this computer."
    return named, Problem(code="not_downloaded", what=what, todo="Get that model, then you can talk to it and take it away.")


def _same(folder: Path, then: Mapping[str, str]) -> bool:
    try:
        return not then or fingerprint.differs(dict(then), fingerprint.print_of(folder), folder.name) is None
    except (OSError, ValueError):
        return False
