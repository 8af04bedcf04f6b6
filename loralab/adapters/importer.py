"""Owns bringing an adapter in: a folder, a zip or dropped files, of ours or from LLaMA-Factory, Unsloth or plain PEFT, becomes a run.

Invariants: checked against its base before anything is kept; a refused one leaves nothing behind; a pickle is only opened in the mode that
cannot run programs; what its training is known to have done is told, and nothing else is.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from loralab.adapters.compatibility import CONFIG, PICKLE, settings_of
from loralab.adapters.files import gather
from loralab.adapters.fitting import fit
from loralab.adapters.names import WEIGHTS
from loralab.adapters.names import read as read_names
from loralab.core import paths
from loralab.core.digest import digest
from loralab.core.errors import LabError, UserError
from loralab.core.events import Ended, Event, Imported, Noted, Saved, Started, Stepped, append
from loralab.core.jobs import TrainJob, as_divided
from loralab.core.records import Artifact, Plan, Provenance
from loralab.models import adapter_file, fingerprint
from loralab.models.catalog import Catalog
from loralab.models.model_folder import count_weights, header, read_json, weight_files
from loralab.runs import runs

BESIDE = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "generation_config.json")
EXACT_BELOW = 1_000_000_000  # weights of the base; larger ones are chatted with and judged in sixteen bits
SHARE = 0.5  # of examples given with a foreign adapter that it is judged on: nobody knows what it was trained on
SQUEEZED = ("-unsloth-bnb-4bit", "-bnb-4bit", "-unsloth", "-4bit", "-awq", "-gptq")
UNPICKLE_SECONDS = 300

ParsePlan = Callable[[dict[str, Any]], Plan]


def import_adapter(home: Path, catalog: Catalog, given: Sequence[Path], parse: ParsePlan, base: str = "", data: str = "") -> str:
    """Make a run of an adapter; returns its id. `base`: the model it belongs to, where its own settings do not say; `data`: examples;
    `parse`: types a plan, raising LabError.

    Raises UserError in plain words when it cannot be used or does not fit its base.
    """
    with TemporaryDirectory(dir=home, prefix=".import-") as room:
        folder = Path(room)
        gather(given, folder)
        if not (folder / WEIGHTS).is_file() and (folder / PICKLE).is_file():
            _open_pickle(folder)
        settings = settings_of(folder)
        read_names(folder)
        _finite(folder / WEIGHTS)
        past = _past(folder)
        name, model = _base_of(catalog, base or str(_said_base(past, settings)))
        findings = _fits(folder, settings, model, past)
        told = str(settings.get("base_model_name_or_path") or "")
        if base and told and _tail(told) != _tail(name) and not past:
            findings.append(
                f"It says it was made for “{told}”. Names and shapes fit “{name}”, but no file can tell whether that is the same model."
            )
        plan = _plan(settings, past, name, model, data, parse)
        about = Provenance(by=_maker(folder, settings, past), source=given[0].name, run=str(past.get("run") or ""))
        return _keep(home, folder, TrainJob(plan=plan, model=str(model), imported=about), about, past, findings)


# ---- what it is ------------------------------------------------------------------------------------------------------------


def _past(folder: Path) -> dict[str, Any]:
    """Our own history: the whole file, or what stands in the head of the weights; empty for an adapter from elsewhere."""
    try:
        found = read_json(folder / adapter_file.HISTORY)
    except ValueError:
        found = {}
    if found.get("form") == adapter_file.FORM and isinstance(found.get("plan"), dict):
        return found
    short = adapter_file.read_summary(folder / WEIGHTS)
    if not short:
        return {}
    base = {"hub_id": str(short.get("base") or ""), "print": short.get("base_print") or {}}
    plan = {"title": short.get("title") or "", **(short.get("settings") or {})}
    return {"run": short.get("run"), "base": base, "plan": plan, "short": (short.get("verdict") or {}).get("words")}


def _said_base(past: dict[str, Any], settings: dict[str, Any]) -> str:
    base = past.get("base") or {}
    return base.get("hub_id") or base.get("name") or settings.get("base_model_name_or_path") or ""


def _maker(folder: Path, settings: dict[str, Any], past: dict[str, Any]) -> str:
    if past:
        return "LoRALab"
    mapped = settings.get("auto_mapping") or {}
    if mapped.get("unsloth_fixed") or str(settings.get("base_model_name_or_path", "")).startswith("unsloth/"):
        return "Unsloth"
    return "LLaMA-Factory" if (folder / "trainer_log.jsonl").is_file() else "PEFT"


def _open_pickle(folder: Path) -> None:
    """Turn an old .bin into safetensors in a child process: torch stays out of this one."""
    command = [sys.executable, "-m", "loralab.runtimes.unpickle", str(folder / PICKLE), str(folder / WEIGHTS)]
    done = subprocess.run(command, cwd=paths.CHECKOUT, capture_output=True, text=True, timeout=UNPICKLE_SECONDS, check=False)
    if done.returncode or not (folder / WEIGHTS).is_file():
        what = f"{PICKLE} holds more than weights, or is damaged; it was not opened."
        raise UserError(what, f"Ask for a copy with {WEIGHTS}.", code="pickle_weights")
    (folder / PICKLE).unlink()


def _finite(weights: Path) -> None:
    """Raise UserError where a number is not finite. Read in portions, without torch."""
    kinds = {
        "F64": (np.uint64, 0x7FF << 52),
        "F32": (np.uint32, 0xFF << 23),
        "F16": (np.uint16, 0x1F << 10),
        "BF16": (np.uint16, 0xFF << 7),
    }
    with weights.open("rb") as file:
        start = 8 + int.from_bytes(file.read(8), "little")
    for name, entry in header(weights).items():
        kind, exponent = kinds[entry["dtype"]]
        begin, end = entry["data_offsets"]
        values = np.memmap(weights, np.uint8, "r", start + begin, (end - begin,)).view(kind) if end > begin else np.zeros(0, kind)
        if ((values & kind(exponent)) == kind(exponent)).any():
            raise UserError(f"This adapter holds numbers that are not finite ({name}).", "Choose another adapter.", code="non_finite")


# ---- its base --------------------------------------------------------------------------------------------------------------


def _tail(name: str) -> str:
    """A model's own name: without owner or folder, and without what says how it was squeezed."""
    tail = name.replace("\\", "/").rstrip("/").rpartition("/")[2].lower()
    for ending in SQUEEZED:
        tail = tail.removesuffix(ending)
    return tail


def _base_of(catalog: Catalog, said: str) -> tuple[str, Path]:
    """Name and folder of the base on this computer. Raises UserError, saying which it is, where it is not here."""
    if not said:
        raise UserError("This adapter does not say which model it belongs to.", "Say it: choose the base model.", code="no_base")
    known = [entry.name for entry in catalog.entries() if _tail(said) in (entry.name, _tail(entry.hub_id or entry.name))]
    for name in (said, *known):
        check = catalog.check(name)
        if check.present and not any(problem.severity == "error" for problem in check.problems):
            return name, check.folder
    what = f"This adapter belongs to the base model “{said}”, which is not on this computer"
    if (found := catalog.check(said)).present:
        raise UserError(f"The base model “{said}” cannot be used: {found.problems[0].what}", found.problems[0].todo, code="no_base")
    get = f"Download {known[0]} first, or choose" if known else "Download it first, or choose"
    raise UserError(f"{what}.", f"{get} the model here that it was trained on.", code="no_base")


def _fits(folder: Path, settings: dict[str, Any], model: Path, past: dict[str, Any]) -> list[str]:
    """What should be known though it fits. Raises UserError naming what does not match."""
    adapter, said = fit(folder, settings, model)
    then = (past.get("base") or {}).get("print") or {}
    problem = fingerprint.differs(then, fingerprint.print_of(model), model.name) if then else None
    if problem:
        raise UserError(problem.what, problem.todo, code="other_base" if problem.code == "base_changed" else problem.code)
    if adapter.whole:
        said.append(f"It also replaces {len(adapter.whole)} whole layers of its base; as a GGUF adapter it cannot be exported.")
    if settings.get("use_dora"):
        said.append("It is a DoRA adapter; as a GGUF adapter it cannot be exported.")
    return said


# ---- what it becomes -------------------------------------------------------------------------------------------------------


def _plan(settings: dict[str, Any], past: dict[str, Any], name: str, model: Path, data: str, parse: ParsePlan) -> dict[str, Any]:
    """Only what is known: of ours the whole plan, of others the adapter's settings."""
    targets = settings["target_modules"]
    precision = "fp32" if count_weights(weight_files(model))[0] < EXACT_BELOW else "bf16"
    asked = {"task": "text", "base_model": name, "dataset": data}
    found = {
        "rank": min(int(settings["r"]), 256),
        "alpha": min(float(settings["lora_alpha"]), 1024.0),
        "dropout": float(settings.get("lora_dropout") or 0.0),
        "targets": targets if isinstance(targets, str) else ",".join(sorted({str(name).rpartition(".")[2] for name in targets})),
        "use_rslora": bool(settings.get("use_rslora")),
        "adapter": "dora" if settings.get("use_dora") else "lora",
        "precision": precision,
    }
    with contextlib.suppress(LabError):
        if past:
            return parse(found | as_divided(past["plan"]) | asked | ({"roles": {}, "parts": ()} if data else {})).model_dump()
    found |= asked | ({"heldout_share": SHARE} if data else {})
    parse(found)
    return found


def _keep(home: Path, folder: Path, asked: TrainJob, about: Provenance, past: dict[str, Any], findings: list[str]) -> str:
    """Put it where runs lie; job.json comes last, and before it there is no run."""
    place = runs.claim(paths.room("runs", home))
    try:
        adapter, model = place / "artifacts" / "adapter", Path(asked.model)
        adapter.mkdir(parents=True)
        for name in (CONFIG, WEIGHTS, *BESIDE):
            origin = next((f / name for f in (folder, model) if (f / name).is_file()), None)
            if origin:
                shutil.copyfile(origin, adapter / name)
        fingerprint.keep(place, model)
        append(place / "events.jsonl", *_story(about, folder, adapter, past, findings))
        title = asked.plan.get("title") or about.source.removesuffix(".zip")[:80]
        kept = asked.model_copy(update={"run": place.name, "plan": asked.plan | {"title": title}})
        paths.write_atomic(place / "job.json", kept.model_dump_json(indent=2))
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    return place.name


def _story(about: Provenance, folder: Path, adapter: Path, past: dict[str, Any], findings: list[str]) -> Iterator[Event]:
    """The log of the new run: what the old one told, then that it was brought in."""
    events = adapter_file.events_of(past)
    yield from events or [Started(pid=0)]
    steps = [] if past else list(_foreign_steps(folder))
    yield from steps
    step = max((event.step for event in [*events, *steps]), default=0)
    origin = f", where its run was called {about.run}" if about.run else ""
    text = f"Brought in from {about.source}; made with {about.by}{origin}. It fits its base model: each of its parts has its place there."
    yield Imported(step=step, text=text, origin=about)
    if past.get("outcome") not in (None, "finished"):
        yield Noted(step=step, text="That run did not reach its end; this is what it had learned by its last save.")
    if past.get("short"):
        yield Noted(step=step, text=f"What was found then: {past['short']}")
    yield from (Noted(step=step, text=text) for text in findings)
    size = sum(file.stat().st_size for file in adapter.iterdir())
    yield Saved(step=step, artifact=Artifact(kind="adapter", path=str(adapter), step=step, digest=digest(adapter / WEIGHTS), bytes=size))
    yield Ended(step=step, outcome="finished", result={"steps": step, **(past.get("result") or {})})


def _foreign_steps(folder: Path) -> Iterator[Stepped]:
    """The losses that transformers' trainer wrote beside an adapter (trainer_state.json), where it is there."""
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
        state = read_json(folder / "trainer_state.json")
        total, now = int(state.get("max_steps") or 0), time.time()
        for line in state.get("log_history") or []:
            if "loss" in line:
                yield Stepped(
                    time=now,
                    step=int(line["step"]),
                    loss=float(line["loss"]),
                    grad_norm=float(line.get("grad_norm") or 0),
                    learning_rate=float(line.get("learning_rate") or 0),
                    tokens=0,
                    tokens_per_second=0,
                    memory_bytes=0,
                    epoch=float(line.get("epoch") or 0),
                    total_steps=total,
                )
