"""Owns the Train job: from a plan to the session or engine that runs it, and the card that lies with an adapter."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from loralab.core.errors import UserError
from loralab.core.events import Noted, adjusted, read
from loralab.core.records import Plan
from loralab.machine.hardware import fingerprint, measure_machine
from loralab.machine.speed import keep
from loralab.models import fingerprint as model_fingerprint
from loralab.runs import process_group
from loralab.runs.run_folder import RunFolder
from loralab.tasks import parse_plan, tasks

WHOLE = ("fp32", "bf16", "fp16")  # precisions for which PEFT needs no bitsandbytes
OURS = "loralab"  # the engine every kind of training has


def run(folder: RunFolder) -> dict[str, Any]:
    """Train as the plan says; returns the run's result (steps, seconds, tokens_per_second, outcome...)."""
    plan = parse_plan(adjusted(parse_plan(folder.job.plan).model_dump(), read(folder.path / "events.jsonl")[0]))
    if process_group.rank():
        return _follow(plan, folder)
    if model := folder.job.model:
        model_fingerprint.keep(folder.path, Path(model))
    result = _train(plan, folder)
    tasks()[plan.task].describe(plan, folder, Path(result["adapter"]))
    return result


def _train(plan: Plan, folder: RunFolder) -> dict[str, Any]:
    task = tasks()[plan.task]
    engine = getattr(plan, "engine", OURS)
    if engine in task.engines and process_group.size() == 1:
        return task.train_with(engine, plan, folder)
    if engine != OURS:
        several = " in several processes" if engine in task.engines else ""
        raise UserError(f"“{engine}” cannot do this kind of training{several}.", f"Set engine to {OURS}.", code="unknown_engine")
    from loralab.train.loop import train  # noqa: PLC0415  (an engine of its own may do without torch)

    _know_speed(folder.path.parents[1])
    _open_adapters(plan)
    if process_group.size() == 1:
        return train(task.open(plan, folder), plan, folder)
    from loralab.train import data_parallel  # noqa: PLC0415  (as above)

    leader = data_parallel.Leader(data_parallel.opened())
    folder.emit(Noted(text=data_parallel.words(leader.size)))
    return train(task.open(plan, folder), plan, folder, leader)


def _follow(plan: Plan, folder: RunFolder) -> dict[str, Any]:
    """One of several processes, not the first: the same model, and a share of every update."""
    from loralab.train import data_parallel  # noqa: PLC0415  (as above)

    _open_adapters(plan)
    channel = data_parallel.opened()
    data_parallel.follow(tasks()[plan.task].open(plan, folder), channel)
    return {}


def _open_adapters(plan: Plan) -> None:
    """Import PEFT without bitsandbytes where the base is not squeezed: PEFT opens it whenever it is there, at a fifth of all imports."""
    if plan.precision not in WHOLE or {"bitsandbytes", "peft"} & sys.modules.keys():
        return
    sys.modules["bitsandbytes"] = None  # type: ignore[assignment]  # the import system's own word for “not here” (docs: sys.modules)
    try:
        importlib.import_module("peft")
    finally:
        del sys.modules["bitsandbytes"]


def _know_speed(home: Path) -> None:
    """Measure this computer if nobody has: a tenth of a second here makes the time of the next plan a better guess."""
    machine = measure_machine(home)
    if not machine.speed.known:
        from loralab.train.matmul import probe  # noqa: PLC0415  (as above)

        keep(home, probe().model_copy(update={"fingerprint": fingerprint(machine)}))
