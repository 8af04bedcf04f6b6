"""From a run's folder to what is remembered of it. Invariant: pure; the same log gives the same memory on every computer."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from loralab.core.events import Adjusted, Incident, RunView, adjusted
from loralab.core.facts import Facts
from loralab.core.incident_kinds import KINDS
from loralab.core.jobs import Retry, TrainJob
from loralab.core.paths import last_part, model_name
from loralab.core.strict_json import plain
from loralab.history.record import MOST, WORDS, Act, Kind, Memory, Moment, Point

MEMORY_CODES = frozenset({"out_of_memory", "killed_for_memory", "does_not_fit", "memory_spill"})
RATE_CODES = frozenset({"diverged", "rolled_back", "non_finite"})
CODES: dict[Kind, frozenset[str]] = {"memory": MEMORY_CODES, "rate": RATE_CODES}
# Settings that want of memory or stability has been seen to depend on: what two points are compared by.
SETTINGS = (
    *("base_model", "engine", "precision", "rank", "alpha", "use_rslora", "targets", "optimizer", "attention"),
    *("adapter", "use_dora", "lora_plus"),  # use_dora: as versions before wrote the kind of adapter
    *("token_budget", "micro_batch", "effective_batch", "max_length", "recompute", "offload", "learning_rate", "warmup"),
    *("schedule", "max_grad_norm", "weight_decay", "dropout"),
)
KILLED = (-9, 137, 9)  # exit codes that say no more than that something ended it
OF_FACTS = ("architecture", "hidden", "layers", "room", "place")
_PATH = re.compile(r"(?:(?<=[\s\"'“(=:])|^)(?:[A-Za-z]:[\\/]|[\\/]{1,2}|~[\\/])(?:[^\\/\s\"'”):]+[\\/])+")


def memory_of(job: TrainJob, view: RunView, report: dict[str, Any]) -> Memory:
    """What is remembered of a training that has ended. `report` is its run_report."""
    plan, ending, facts = job.plan, view.ending, view.facts
    asked = {name: value for name, value in plain(plan).items() if name not in ("task", "title", "roles", "parts", "guessed")}
    model, dataset = model_name(str(plan.get("base_model", ""))), last_part(str(plan.get("dataset", "")))
    asked |= {name: value for name, value in (("base_model", model), ("dataset", dataset)) if name in asked}
    now = plain(adjusted(plan, view.adjustments))
    seen = [look for look in view.evaluations if look.split == "heldout"]
    looks = [look.loss for look in seen]
    best = min((look for look in seen if math.isfinite(look.loss)), key=lambda look: look.loss, default=None)
    final = next((look.loss for look in reversed(view.evaluations) if look.split == "final"), None)
    return Memory(
        run=view.run,
        title=job.title[:200],
        task=str(plan.get("task", ""))[:40],
        model=model[:300],
        dataset=dataset[:300],
        control=job.control,
        started=view.started,
        ended=view.ended,
        facts=facts.model_copy(update={"rows": {}}) if facts else None,
        versions=view.versions,
        asked=asked,
        changed={name: now[name] for name in asked if name not in ("base_model", "dataset") and now[name] != asked[name]},
        outcome=view.state if not view.active else "killed",  # pyright: ignore[reportArgumentType]
        code=(ending.code if ending else "")[:80],
        what=bare(ending.what if ending else ""),
        steps=view.step,
        epochs=max((step.epoch for step in view.steps), default=0.0),
        seconds=report["seconds"],
        peak_memory=report["peak_memory_bytes"],
        tokens_per_second=_number(report["tokens_per_second"]) or 0.0,
        base_loss=_number(report["base_loss"]),
        best_loss=best.loss if best else None,
        best_step=best.step if best else 0,
        last_loss=_number(looks[-1] if looks else None),
        final_loss=_number(final),
        verdict=report["judgement"]["verdict"][:80],
        learned=report["learned"] or "",
        learned_words=bare(report["learned_words"] or ""),
        usable=report["usable"] or "",
        usable_words=bare(report["usable_words"] or ""),
        but=bare(report["but"] or ""),
        moments=tuple(_moment(one, view.adjustments) for one in view.incidents[-MOST:]),
        actions=tuple(_guarded(view)),
        tried=_tried(job, view),
    )


def points_of(memory: Memory) -> Iterator[Point]:
    """Where a run went wrong, each with the settings of that moment, and what it went well with."""
    for kind, codes in CODES.items():
        troubles = [moment for moment in memory.moments if moment.code in codes]
        failed = [_point(memory, kind, memory.asked | moment.changed, moment) for moment in troubles]
        if memory.code in codes and memory.code not in {moment.code for moment in troubles}:
            failed.append(_point(memory, kind, memory.settings, Moment(code=memory.code, step=memory.steps)))
        yield from failed
        well = _point(memory, kind, memory.settings)
        if _went_well(memory, kind, codes) and all(point.settings != well.settings for point in failed):
            yield well


def bare(text: str) -> str:
    """A sentence without the folders it names, and not longer than is kept."""
    return _PATH.sub("", text)[:WORDS]


def _moment(incident: Incident, changes: tuple[Adjusted, ...]) -> Moment:
    data, rows = incident.data, incident.data.get("rows", ())
    return Moment(
        code=_code(incident)[:80],
        step=incident.step,
        text=bare(incident.text),
        changed=plain({change.setting: change.after for change in changes if change.time < incident.time}),
        tokens=int(_number(data.get("cost", data.get("tokens"))) or 0),
        rows=len(rows) if isinstance(rows, list | tuple) else 0,
    )


def _code(incident: Incident) -> str:
    """What an incident is remembered as. Older versions took every kill for want of memory: without a sign of it nothing is learned."""
    if incident.code != "killed_for_memory":
        return incident.code
    data = incident.data
    short = data.get("short", bool(data.get("oom_kills")) or data.get("exit_code") not in KILLED)
    return incident.code if short else "killed"


def _guarded(view: RunView) -> Iterator[Act]:
    """What was changed while the run went on, and whether it was enough: the same trouble did not come back and the run was finished."""
    for change in view.adjustments[-MOST:]:
        about = next((one.code for one in reversed(view.incidents) if one.time <= change.time), "")
        again = any(one.time > change.time and KINDS.get(one.code) == KINDS.get(about) for one in view.incidents) if about else False
        fixed = False if again or view.state in ("failed", "killed") else True if view.state == "finished" else None
        yield Act(
            run=view.run,
            time=change.time,
            changes={change.setting: (plain(change.before), plain(change.after))},
            why=bare(change.reason),
            rule=about[:80],
            fixed=fixed,
        )


def _tried(job: TrainJob, view: RunView) -> Act | None:
    """Why a run was begun as another try of one that failed, as its job tells, and whether it helped."""
    why = job.origin
    if not isinstance(why, Retry):
        return None
    fixed = {"finished": True, "failed": False, "killed": False}.get(view.state)
    return Act(
        id=f"{view.run}"[:40],
        run=why.of[:200],
        time=view.started,
        by="advisor",
        rule=why.rule[:80],
        changes={str(name): (None, plain(value)) for name, value in why.settings.items()},
        why=bare(why.words),
        child=view.run,
        fixed=fixed,
    )


def _went_well(memory: Memory, kind: Kind, codes: frozenset[str]) -> bool:
    """Whether the settings a run ended with did their work: for memory an update is enough, for a learning rate only the whole run.

    A run that ended worse than it began did not do well with its rate, though nobody stopped it.
    """
    if kind == "memory":
        return memory.steps > 0 and memory.code not in codes
    worse = memory.base_loss is not None and memory.last_loss is not None and memory.last_loss > memory.base_loss
    return memory.outcome == "finished" and not worse


def _point(memory: Memory, kind: Kind, settings: dict[str, Any], trouble: Moment | None = None) -> Point:
    """A point of a run; without a trouble it went well."""
    facts = memory.facts or Facts()
    return Point(
        kind=kind,
        ok=trouble is None,
        code=trouble.code if trouble else "",
        step=trouble.step if trouble else memory.steps,
        run=memory.run,
        workspace=memory.workspace,
        time=memory.ended,
        model=memory.model,
        epochs=memory.epochs,
        longest=facts.tokens.get("max", 0),
        settings={name: settings[name] for name in SETTINGS if name in settings},
        **{name: getattr(facts, name) for name in OF_FACTS},
    )


def _number(value: Any) -> float | None:
    """A finite number, or nothing."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
