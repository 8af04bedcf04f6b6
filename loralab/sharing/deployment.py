"""Owns deployments: what was shared, frozen. `LORALAB_HOME/deployments/<id>/deployment.json`, laid out inside as a run's folder is.

Invariants: the id follows from all that has a say in an answer, so the same id answers the same for ever; what it needs of its run is
copied, so that deleting the run breaks nothing; a name may move to another id, an id never moves; nothing is half there.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock
from pydantic import Field, ValidationError

from loralab.core import paths
from loralab.core.digest import digest
from loralab.core.errors import UserError
from loralab.core.events import RunView
from loralab.core.jobs import ExportJob, TrainJob
from loralab.core.records import Record
from loralab.models import fingerprint
from loralab.models.model_folder import read_json
from loralab.reports.card import model_card, origin_of, shared_plan
from loralab.runs.run_folder import read_job
from loralab.sharing.patients import require_no_patients

FILE, NAMES = "deployment.json", "names.json"
ID = re.compile(r"[0-9a-f]{12}")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,47}")
WEIGHTS, SETTINGS, CARD = "adapter_model.safetensors", "adapter_config.json", "pictures.json"
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "generation_config.json")
ALONG = (WEIGHTS, SETTINGS, CARD, *TOKENIZER)  # of an adapter's folder: nothing else comes along
LOOK = ("labels", "threshold", "unsure_below", "temperature")  # of a picture card: what is said; all else is how it is looked at
LOCK_SECONDS = 10.0

Answers = Literal["chat", "classify", "detect", "segment"]


class Generation(Record):
    """How it answers where nobody says otherwise."""

    max_tokens: int = 200
    temperature: float = 0.0


class Versions(Record):
    """What a deployment was made of, each a short digest; empty where it is not known."""

    data: str = ""
    model: str = ""
    adapter: str = ""


@dataclass(frozen=True)
class Export:
    """A finished export that can answer by itself."""

    engine: Literal["onnx", "gguf"]
    files: tuple[Path, ...]


class Deployment(Record):
    """A frozen, shared result. `id` follows from `parts`; `name` is the friendly name that points to it now."""

    id: str
    name: str = ""
    run: str
    title: str
    answers: Answers = "chat"
    engine: Literal["", "onnx", "gguf"] = ""  # what answers, where it is not PyTorch
    base: str  # name of the base model
    model: str  # its folder on this computer
    labels: tuple[str, ...] = ()
    threshold: float | None = None
    generation: Generation = Generation()
    versions: Versions = Versions()
    parts: dict[str, str] = Field(default_factory=dict)  # what the id is made of: part -> digest
    usable: str = ""  # the verdict's second answer: yes | partly | no | you_decide; empty where it was not judged
    private: str = ""  # why its examples are somebody's own, in a sentence; empty where nothing says so
    medical: bool = False
    created: float = 0.0

    @property
    def called(self) -> str:
        """What it is called in lists and in requests."""
        return self.name or self.id


def folder_of(home: Path, deployment: str) -> Path:
    """Where a deployment lies."""
    return home / "deployments" / deployment


def adapter_of(home: Path, deployment: str) -> Path:
    """Its frozen adapter; beside it lies what the room for answering looks for in a run's folder."""
    return folder_of(home, deployment) / "artifacts" / "adapter"


def engine_of(home: Path, deployment: Deployment) -> Path:
    """What was exported for its engine: a GGUF file, or the folder of an ONNX model."""
    place = folder_of(home, deployment.id) / "engine"
    return next(place.glob("*.gguf"), place / "model.gguf") if deployment.engine == "gguf" else place


def made_of(home: Path, job: ExportJob, deployment: Deployment) -> bool:
    """Whether an export is of these very weights: made of the deployment, or of its run while that still holds the same."""
    if job.adapter == str(adapter_of(home, deployment.id)):
        return True
    weights = Path(job.adapter) / WEIGHTS
    return job.of == deployment.run and weights.is_file() and digest(weights).startswith(deployment.versions.adapter)


# ---- making one ------------------------------------------------------------------------------------------------------------


def deploy(home: Path, run: str, view: RunView, name: str = "", private: str = "", made: Export | None = None) -> Deployment:
    """Freeze what a run learned. The same run frozen twice is one deployment. Raises UserError where there is nothing to share.

    `name`: an id of the person's own (small letters, digits, dots, dashes), which then points here; `private`: why its examples are
    somebody's own; `made`: an export of the run that is to answer instead of PyTorch.
    """
    name = checked_name(name)
    source = home / "runs" / run
    job = read_job(source)
    adapter = Path(view.made("adapter"))
    if not isinstance(job, TrainJob) or not view.made("adapter") or not (adapter / WEIGHTS).is_file():
        what = "This run has nothing that can be shared by a link: it made no adapter."
        raise UserError(what, "Let it finish first, or choose another run.", code="no_adapter")
    require_no_patients(home, run)
    model = Path(job.model)
    fingerprint.require_same_base(source, model)
    found = _described(run, job, view, adapter, model, private)
    if made:
        if found.answers != "chat":
            raise UserError("Models for pictures answer with PyTorch only.", "Share it without a format.", code="wrong_kind")
        parts = found.parts | {"engine": _hash({file.name: digest(file) for file in made.files})}
        found = found.model_copy(update={"engine": made.engine, "parts": parts, "id": _hash(parts)[:12]})
    room = paths.room("deployments", home)
    place = folder_of(home, found.id)
    with FileLock(room / ".lock", timeout=LOCK_SECONDS):
        if not (place / FILE).is_file():
            _freeze(room, place, source, adapter, found, job, view, made.files if made else ())
        if name:
            _point(room, name, found.id)
    return get(home, found.id)


def checked_name(name: str) -> str:
    """A friendly name as it is kept. Raises UserError for one that is none, or that could be taken for an id."""
    name = re.sub(r"\s+", "-", name.strip().lower())
    if name and (not NAME.fullmatch(name) or ID.fullmatch(name) or ".." in name):
        todo = "Use up to 48 small letters, digits, dots and dashes, beginning with a letter or digit."
        raise UserError(f"“{name[:60]}” cannot be a name for this.", todo, code="bad_name")
    return name


def _described(run: str, job: TrainJob, view: RunView, adapter: Path, model: Path, private: str) -> Deployment:
    """What will be frozen, with its id."""
    base = origin_of(str(job.plan.get("base_model", "")), model)
    print_ = fingerprint.known(adapter.parent.parent) or fingerprint.print_of(model)
    card = read_json(adapter / CARD) if (adapter / CARD).is_file() else {}
    generation = Generation()
    weights = digest(adapter / WEIGHTS)
    parts = {
        "adapter": _hash({"weights": weights, "settings": _settings(adapter, base.reference)}),
        "base": _hash(print_),
        "tokenizer": _hash({name: digest(adapter / name) for name in TOKENIZER if (adapter / name).is_file()} | _voice(print_)),
        "preprocessing": _hash({key: value for key, value in card.items() if key not in LOOK} | _numbers(job.plan)),
        "labels": _hash(list(card.get("labels", ()))),
        "threshold": _hash([card.get(key) for key in LOOK[1:]]),
        "generation": _hash(generation.model_dump()),
    }
    verdict, facts = view.conclusion, view.facts
    medical = bool(card.get("medical") or (facts and facts.medical))
    why = "It learned from pictures of patients." if medical else private
    return Deployment(
        id=_hash(parts)[:12],
        run=run,
        title=job.title or run,
        answers=card.get("task", "chat"),
        base=base.name,
        model=str(model),
        labels=tuple(card.get("labels", ())),
        threshold=card.get("threshold"),
        generation=generation,
        versions=Versions(data=(facts.data if facts else "")[:12], model=_hash(print_)[:12], adapter=weights[:12]),
        parts=parts,
        usable=verdict.usable if verdict else "",
        private=why,
        medical=medical,
        created=time.time(),
    )


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _settings(adapter: Path, reference: str) -> dict[str, Any]:
    """The adapter's settings, naming its base as others know it: no path of this computer is shared."""
    return read_json(adapter / SETTINGS) | {"base_model_name_or_path": reference}


def _voice(print_: Mapping[str, str]) -> dict[str, str]:
    return {part: print_.get(part, "") for part in ("tokenizer", "template")}


def _numbers(plan: Mapping[str, Any]) -> dict[str, Any]:
    """In which numbers it is computed, which is how it was judged."""
    return {key: plan.get(key) for key in ("precision", "compute", "double_quantisation") if key in plan}


def _freeze(  # noqa: PLR0913, PLR0917 - what is copied is of several places
    room: Path, place: Path, source: Path, adapter: Path, found: Deployment, job: TrainJob, view: RunView, also: Sequence[Path]
) -> None:
    """Copy what it needs into a folder that appears whole or not at all."""
    base = origin_of(str(job.plan.get("base_model", "")), Path(job.model))
    building = room / f".{found.id}.{secrets.token_hex(4)}"
    kept = building / "artifacts" / "adapter"
    try:
        kept.mkdir(parents=True)
        for name in ALONG:
            if (adapter / name).is_file():
                shutil.copyfile(adapter / name, kept / name)
        (kept / SETTINGS).write_text(json.dumps(_settings(adapter, base.reference), indent=2, sort_keys=True) + "\n", "utf-8")
        quick = adapter.parent / "quick_look.safetensors"
        if quick.is_file():
            shutil.copyfile(quick, kept.parent / quick.name)
        frozen = job.model_copy(update={"plan": job.plan | {"dataset": Path(str(job.plan.get("dataset", ""))).name}})
        (building / "job.json").write_text(frozen.model_dump_json(indent=2), "utf-8")
        (building / fingerprint.FILE).write_text(json.dumps(fingerprint.known(source) or fingerprint.print_of(Path(job.model))), "utf-8")
        (building / "README.md").write_text(model_card(found.run, job.plan, base, view, examples=False), "utf-8")
        (building / "plan.json").write_text(json.dumps(shared_plan(job.plan, base), indent=2, ensure_ascii=False) + "\n", "utf-8")
        for file in also:
            (building / "engine").mkdir(exist_ok=True)
            _linked(file, building / "engine" / file.name)
        paths.write_atomic(building / FILE, found.model_dump_json(indent=2))
        for file in building.rglob("*"):
            if file.is_file():
                _to_disk(file)
        shutil.rmtree(place, ignore_errors=True)  # what a broken disk left of an earlier one
        os.replace(building, place)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _linked(file: Path, to: Path) -> None:
    """The same file under another name where the disk can, since exports are replaced and never rewritten; else a copy."""
    try:
        os.link(file, to)
    except OSError:
        shutil.copyfile(file, to)


def _to_disk(file: Path) -> None:
    with file.open("rb+") as handle:
        os.fsync(handle.fileno())


# ---- what there is ---------------------------------------------------------------------------------------------------------


def deployments(home: Path) -> tuple[Deployment, ...]:
    """All of them, newest first. One whose file is damaged is left out."""
    names = _pointing(home)
    found: list[Deployment] = []
    for path in (home / "deployments").glob(f"*/{FILE}"):
        with suppress(OSError, ValidationError):
            found.append(_read(path, names))
    return tuple(sorted(found, key=lambda one: (-one.created, one.id)))


def get(home: Path, name: str) -> Deployment:
    """The deployment of an id or a friendly name. Raises UserError where there is none."""
    names = _names(home)
    wanted = names.get(name, name)
    if ID.fullmatch(wanted):
        with suppress(OSError, ValidationError):
            return _read(folder_of(home, wanted) / FILE, _pointing(home))
    raise UserError("There is nothing shared under this name.", "See the list of what is shared.", code="no_deployment")


def id_of(home: Path, name: str) -> str:
    """The id a friendly name points to; empty where there is none."""
    return _names(home).get(name, "")


def rename(home: Path, deployment: str, name: str) -> Deployment:
    """Let a friendly name point to a deployment, wherever it pointed before."""
    found, name = get(home, deployment), checked_name(name)
    if not name:
        raise UserError("There is no name yet.", "Type one.", code="bad_name")
    room = paths.room("deployments", home)
    with FileLock(room / ".lock", timeout=LOCK_SECONDS):
        _point(room, name, found.id)
    return get(home, found.id)


def remove(home: Path, deployment: str) -> None:
    """Delete a deployment and its names; its links open nothing from then on."""
    found = get(home, deployment)
    room = paths.room("deployments", home)
    with FileLock(room / ".lock", timeout=LOCK_SECONDS):
        names = {name: to for name, to in _names(home).items() if to != found.id}
        paths.write_atomic(room / NAMES, json.dumps(names, indent=2))
        gone = room / f".{found.id}.{secrets.token_hex(4)}"
        os.replace(folder_of(home, found.id), gone)
    shutil.rmtree(gone, ignore_errors=True)


def _read(path: Path, pointing: Mapping[str, str]) -> Deployment:
    found = Deployment.model_validate_json(path.read_bytes())
    return found.model_copy(update={"name": pointing.get(found.id, ""), "model": paths.shipped(found.model)})


def _names(home: Path) -> dict[str, str]:
    """Friendly name -> id."""
    path = home / "deployments" / NAMES
    try:
        raw = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    except (OSError, ValueError):
        return {}
    return {str(name): str(to) for name, to in raw.items()} if isinstance(raw, dict) else {}


def _pointing(home: Path) -> dict[str, str]:
    """Id -> the name that came to it last."""
    return {to: name for name, to in _names(home).items()}


def _point(room: Path, name: str, to: str) -> None:
    """The lock is held."""
    names = {known: at for known, at in _names(room.parent).items() if known != name} | {name: to}
    paths.write_atomic(room / NAMES, json.dumps(names, indent=2))
