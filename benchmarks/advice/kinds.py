"""Relatives of the faults that the first advice once missed, really trained, each followed by a run that does what is advised.

    python -m benchmarks.advice.kinds OUT [--base llama]     trains what is missing in OUT
    python -m benchmarks.advice.kinds OUT --pack             into kinds.jsonl.xz beside this file, which tests read

A line is the run as it was and the loss its followed advice came to, with the rule and the settings that were followed.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import lzma
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import Field

from advisor.diagnosis.case import Case, of_view
from advisor.diagnosis.diagnose import diagnose
from advisor.repair.repair import KEPT
from benchmarks.advice.judge import MEASURES, loss_of
from benchmarks.labfail.make import data, setups
from benchmarks.labfail.make.setups import Ran, Setup, dumped, run
from benchmarks.labfail.records import LabRun, slim
from loralab.core.records import Record

PACKED = Path(__file__).parent / "kinds.jsonl.xz"
USUAL: dict[str, Any] = {
    "max_length": 160,
    "micro_batch": 8,
    "effective_batch": 8,
    "rank": 8,
    "alpha": 16.0,
    "learning_rate": 2e-3,
    "epochs": 3.0,
    "heldout_share": 0.2,
    "eval_every": 10,
}
Row = dict[str, str]


class Relative(Record):
    """A run of a kind, and what came of its first advice."""

    kind: str
    name: str
    made: LabRun
    loss: float  # held-out, of the run
    rule: str = ""  # what was advised first after it
    settings: dict[str, Any] = Field(default_factory=dict)
    followed: float | None = None  # held-out loss of the run that did it

    @property
    def case(self) -> Case:
        return of_view(self.made.plan, self.made.view)

    @property
    def before(self) -> Case:
        """As it was known before its first update."""
        return replace(self.case, view=None)


# ---- what is done to the rows ------------------------------------------------------------------------------------------------
def _hashes(rows: Sequence[Row]) -> list[Row]:
    return [row | {"completion": hashlib.sha256(row["prompt"].encode()).hexdigest()[:40]} for row in rows]


def _shuffled(rows: Sequence[Row]) -> list[Row]:
    answers = [row["completion"] for row in rows]
    random.Random(5).shuffle(answers)
    return [row | {"completion": answer} for row, answer in zip(rows, answers, strict=True)]


def _coins(rows: Sequence[Row]) -> list[Row]:
    draw = random.Random(6)
    return [row | {"completion": draw.choice(["yes", "no"])} for row in rows]


def _one(rows: Sequence[Row]) -> list[Row]:
    return [row | {"completion": "Thank you, we will look into it."} for row in rows]


def _half_backwards(rows: Sequence[Row]) -> list[Row]:
    kinds = sorted({row["completion"] for row in rows})
    back = dict(zip(kinds, kinds[::-1], strict=True))
    half = len(rows) // 2
    return [*rows[:half], *(row | {"completion": back[row["completion"]]} for row in rows[half:])]


Spoil = Callable[[Sequence[Row]], list[Row]]
# kind -> name -> (examples, how many, settings, what is done to the rows)
RELATIVES: dict[str, dict[str, tuple[str, int, dict[str, Any], Spoil]]] = {
    "too long": {
        "bounded by a limit": ("desk", 30, {"epochs": 1000.0, "max_steps": 120, "patience": 0, "learning_rate": 8e-3}, list),
        "by its rounds": ("chat", 30, {"epochs": 40.0, "patience": 0, "learning_rate": 8e-3}, list),
        "by patience": ("desk", 40, {"epochs": 60.0, "patience": 4, "learning_rate": 8e-3}, list),
        "by a limit, few rows": ("chat", 40, {"epochs": 500.0, "max_steps": 140, "patience": 0, "learning_rate": 8e-3}, list),
        "at a large rate": ("desk", 36, {"epochs": 30.0, "patience": 0, "learning_rate": 1.5e-2}, list),
    },
    "too short": {
        "a limit of six": ("labels", 240, {"epochs": 20.0, "max_steps": 6}, list),
        "a limit of ten, many rounds named": ("numbers", 200, {"epochs": 100.0, "max_steps": 10}, list),
        "a clock": ("numbers", 200, {"epochs": 30.0, "max_minutes": 0.02}, list),
        "a part of a round": ("support", 200, {"epochs": 0.3}, list),
        "huge batches": ("numbers", 200, {"effective_batch": 80}, list),
    },
    "nobody uses it": {
        "dropout of 0.9": ("support", 160, {"dropout": 0.9}, list),
        "dropout of 0.8": ("numbers", 160, {"dropout": 0.8, "epochs": 3.0}, list),
        "all warm-up": ("numbers", 160, {"warmup": 1.0}, list),
        "mostly warm-up": ("support", 160, {"warmup": 0.9}, list),
        "no clipping, a large rate": ("desk", 160, {"max_grad_norm": 0.0, "learning_rate": 0.05}, list),
    },
    "cannot be learned": {
        "hashes": ("desk", 160, {}, _hashes),
        "shuffled": ("support", 160, {}, _shuffled),
        "coins": ("labels", 200, {}, _coins),
        "one answer": ("desk", 160, {}, _one),
        "half of the classes backwards": ("labels", 300, {}, _half_backwards),
    },
    "healthy": {
        "labels": ("labels", 240, {"epochs": 4.0}, list),
        "numbers": ("numbers", 200, {"epochs": 5.0}, list),
        "support": ("support", 200, {}, list),
        "desk": ("desk", 200, {}, list),
        "chat": ("chat", 200, {}, list),
    },
}


def made(kind: str, name: str, base: str, root: Path) -> Relative:
    """A relative, trained; and what is advised first, trained, too."""
    source, count, settings, spoil = RELATIVES[kind][name]
    rows = [_two_columns(row) for row in data.rows_of(source, count, 3)]
    setup = replace(Setup(base, source, 3, tuple(spoil(rows)), USUAL | settings | {"seed": 3}), measures=MEASURES)
    ran = run(setup, root, "kind")
    case = of_view(ran.plan, ran.view)
    first = next((one for one in diagnose(case).findings if one.alarm and one.fixes), None)
    change = {key: value for key, value in first.fixes[0].settings.items() if key not in KEPT} if first else {}
    followed = loss_of(run(replace(setup, settings=setup.settings | change), root, "followed").view) if change else None
    rule = first.rule if first else ""
    return Relative(
        kind=kind, name=name, made=_kept(ran, name, base, source), loss=loss_of(ran.view), rule=rule, settings=change, followed=followed
    )


def _two_columns(row: Row) -> Row:
    question, answer = data.columns([row])
    return {"prompt": row[question], "completion": row[answer]}


def _kept(ran: Ran, name: str, base: str, source: str) -> LabRun:
    plan = json.loads(json.dumps(ran.plan).replace(str(ran.root), "kinds"))
    return LabRun(cause=name, kind="", model=base, data=source, number=3, plan=plan, events=slim(dumped(ran.events, ran.root)))


def read(path: Path = PACKED) -> list[Relative]:
    """What was trained."""
    raw = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes() if path.exists() else b""
    return [Relative.model_validate_json(line) for line in raw.splitlines()]


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--base", default="llama")
    parser.add_argument("--only", default="", help="a kind; else all")
    parser.add_argument("--pack", action="store_true")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    path = asked.out / "kinds.jsonl"
    if asked.pack:
        PACKED.write_bytes(lzma.compress(path.read_bytes(), preset=9 | lzma.PRESET_EXTREME))
        return
    setups.PATIENCE_SECONDS = 3600.0
    for module in ("sessions.job", "sessions.text", "runs.worker"):
        importlib.import_module(f"loralab.{module}")
    done = {(one.kind, one.name) for one in read(path)}
    for kind, relatives in RELATIVES.items():
        for name in relatives:
            if (kind, name) in done or asked.only not in ("", kind):
                continue
            one = made(kind, name, asked.base, asked.out)
            with path.open("a", encoding="utf-8") as file:
                file.write(one.model_dump_json() + "\n")
            then = "-" if one.followed is None else f"{one.followed:.3f}"
            sys.stdout.write(f"{kind}: {name}: {one.loss:.3f}; {one.rule or 'nothing'} {one.settings} -> {then}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
