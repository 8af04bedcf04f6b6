"""LoRA training against other trainers on this machine: speed, memory and agreement, in turns and in one run.

    python -m benchmarks.train [--bases 135m,0.5b,smollm2] [--rows medquad,gsm8k,chat] [--engines ...] [--out results.json] > table.md
    python -m benchmarks.train --quick

Every engine runs in a process of its own, the peers in environments of their own that are made on the first run; while one makes steps the
others are idle. All get the same token ids, the same adapter to begin with (rank 16, all linear layers, alpha 32), effective batch,
optimiser, rate, seed and precision. The first steps are compared (loss, gradient, held-out loss) and warm up; the timed ones follow in
rounds. Rows of an update are of like length for all but those as shipped, which take the same rows shuffled.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil

from benchmarks.training import bases, rows
from benchmarks.training.comparison import compared, table
from benchmarks.training.engine import KINDS, OURS, Engine, EngineFailed, kind
from benchmarks.training.environments import NotInstalled, python, versions
from benchmarks.training.rate import best_seconds
from loralab.core.paths import CHECKOUT
from loralab.machine.hardware import measure_machine

QUICK = {"bases": "tiny", "rows": "chat", "rounds": 2, "steps": 2, "compared": 2, "examples": 60, "heldout": 4, "batch": 4}
PLAN = {"rank": 16, "alpha": 32.0, "dropout": 0.0, "targets": "all-linear", "learning_rate": 2e-4, "seed": 1}
KINDS_OF = {"fp32": "float32", "bf16": "bfloat16"}  # of numbers, as torch calls them
SPARE = 1.3  # of the largest peak seen: with less memory free than that, engines that wait give back what they do not need


def main() -> None:
    """Measure every cell that is asked for; print the table, write the numbers."""
    asked = _asked()
    load = os.getloadavg()
    machine = measure_machine(asked.cache)
    _note(f"load {load[0]:.2f}, {load[1]:.2f}, {load[2]:.2f} on {machine.cores} cores of {machine.cpu}")
    found: list[dict[str, Any]] = []
    conditions = {"load": load, "cpu": machine.cpu, "cores": machine.cores, "memory": machine.memory_total, "asked": vars(asked)}
    conditions |= {"bf16": "AMX" if machine.amx_bf16 else "AVX-512" if machine.avx512_bf16 else "none"}
    for base in asked.bases.split(","):
        for name in asked.rows.split(","):
            with tempfile.TemporaryDirectory(prefix="train-") as scratch:
                found.append(compared(cell(base, name, asked, Path(scratch))))
            sys.stdout.write(table(found[-1]) + "\n")
            sys.stdout.flush()
            if asked.out:
                asked.out.write_text(json.dumps({"conditions": conditions, "cells": found}, indent=1, default=str), "utf-8")


def cell(base: str, name: str, asked: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """One model on one set of rows: all that was measured, raw. What an engine's failure was is in the place of its numbers."""
    folder = bases.folder(base, asked.precision, asked.cache)
    steps = asked.compared + asked.rounds * asked.steps
    settings: dict[str, Any] = {
        **PLAN,
        "plan": PLAN | {"effective_batch": asked.batch, "max_length": asked.max_length, "precision": asked.precision},
        "dataset": str(rows.write(name, asked.examples, asked.data, scratch / f"{name}.jsonl")),
        "base": str(folder),
        "adapter": str(scratch / "adapter"),
        "rows": str(scratch / "rows.json"),
        "batch": asked.batch,
        "steps": steps,
        "compared": asked.compared,
        "precision": asked.precision,
    }
    result: dict[str, Any] = {
        "base": base,
        "rows": name,
        "precision": asked.precision,
        "load": os.getloadavg(),
        "engines": {},
        "failed": {},
    }
    with ExitStack() as stack:
        engines: dict[str, Engine] = {}
        for engine in [OURS, *(other for other in asked.engines.split(",") if other != OURS)]:
            try:
                _open(engine, engines, settings, asked, scratch)
            except (NotInstalled, EngineFailed) as error:
                if engine == OURS:
                    raise
                result["failed"][engine] = str(error)
                continue
            stack.callback(engines[engine].end)
            result["engines"][engine] = {"about": engines[engine].about, "rounds": []}
        _turns(engines, result, asked, scratch)
        _on_behalf_of_all(engines, result, asked, scratch)
    return result


def _open(name: str, engines: dict[str, Engine], settings: dict[str, Any], asked: argparse.Namespace, scratch: Path) -> None:
    chosen = kind(name)
    interpreter = python(chosen.environment, asked.environments) if chosen.environment else Path(sys.executable)
    begun = time.monotonic()
    engines[name] = Engine(name, interpreter, settings, scratch / name)
    engines[name].about |= {"versions": versions(interpreter), "seconds": time.monotonic() - begun}
    if name == OURS:
        settings |= engines[name].ask("shared")
    _note(f"{chosen.words}: ready after {time.monotonic() - begun:.0f} s")


def _turns(engines: dict[str, Engine], result: dict[str, Any], asked: argparse.Namespace, scratch: Path) -> None:
    """The compared steps, then the rounds, every engine in its turn; one that fails is left out from there on."""
    largest = 0
    for turn in range(asked.rounds + 1):
        names = list(engines) if turn % 2 else list(reversed(engines))
        for name in names:
            engine, kept = engines[name], result["engines"][name]
            try:
                made: dict[str, Any] = engine.ask("step", count=asked.steps if turn else asked.compared) | {"load": os.getloadavg()[0]}
                if turn:
                    kept["rounds"].append(made)
                else:
                    kept["compared"] = made
                    engine.ask("save", path=str(scratch / name / "saved"))
            except EngineFailed as error:
                if name == OURS:
                    raise
                result["failed"][name] = str(error)
                del engines[name], result["engines"][name]
                continue
            largest = max(largest, made["peak"] - kept["about"]["loaded"])
            if psutil.virtual_memory().available < SPARE * largest:
                engine.ask("rest")
            tokens, seconds = sum(size for size, _ in made["sizes"]), sum(made["seconds"])
            _note(f"{'round ' + str(turn) if turn else 'compared'}: {kind(name).words} {tokens / seconds:.1f} tokens/s")
        sizes = [size for made in result["engines"][OURS]["rounds"] for size in made["sizes"]]
        if sizes:
            tokens, learned = (sum(size[i] for size in sizes) // len(sizes) for i in (0, 1))
            shapes = engines[OURS].ask("shapes") | {"tokens": tokens, "learned": learned, "kind": KINDS_OF[asked.precision]}
            result.setdefault("best_seconds", []).append(best_seconds(shapes))


def _on_behalf_of_all(engines: dict[str, Engine], result: dict[str, Any], asked: argparse.Namespace, scratch: Path) -> None:
    """Held-out losses after the compared steps, all computed by the same code, and how alike the first gradients are."""
    ours = engines[OURS]
    result["heldout_before"] = ours.ask("heldout", adapter=str(scratch / "adapter"), rows=asked.heldout)["loss"]
    for name, engine in engines.items():
        kept = result["engines"][name]
        kept["heldout"] = ours.ask("heldout", adapter=str(scratch / name / "saved"), rows=asked.heldout)["loss"]
        kept["cosine"] = _cosine(ours.gradients, engine.gradients)


def _cosine(one: Path, other: Path) -> float | None:
    """Cosine of two gradients over all adapter weights; None where the other engine did not keep all of them."""
    from safetensors.numpy import load_file

    first, second = load_file(one), load_file(other)
    if first.keys() != second.keys():
        _note(f"gradients of other weights: {sorted(first.keys() ^ second.keys())[:3]}")
        return None
    products = [(float((a * second[n]).sum()), float((a * a).sum()), float((second[n] ** 2).sum())) for n, a in first.items()]
    dot, left, right = (sum(values) for values in zip(*products, strict=True))
    return dot / (left * right) ** 0.5


def _asked() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--bases", default="135m", help=f"of {', '.join(bases.SHAPES)} (random weights) and {bases.REAL}")
    options.add_argument("--rows", default="medquad", help=f"of {', '.join(rows.SETS)}")
    options.add_argument("--engines", default=",".join(KINDS), help="fewer of them, or ours+SETTING=VALUE beside them")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--steps", type=int, default=7, help="timed steps of an engine's turn")
    options.add_argument("--compared", type=int, default=4, help="steps before the timed ones, which are compared")
    options.add_argument("--batch", type=int, default=8)
    options.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    options.add_argument("--max-length", type=int, default=512)
    options.add_argument("--examples", type=int, default=400)
    options.add_argument("--heldout", type=int, default=24, help="held-out rows that losses are compared on")
    options.add_argument("--data", type=Path, default=CHECKOUT.parent / "shared" / "data", help="folder of the sets")
    options.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "loralab-benchmarks", help="where models are kept")
    options.add_argument("--environments", type=Path, help="where the peers' environments are kept; beside the models")
    options.add_argument("--out", type=Path, help="all the numbers, as JSON")
    options.add_argument("--quick", action="store_true", help="a tiny model and few steps: does every engine run")
    asked = options.parse_args()
    if asked.quick:
        vars(asked).update(QUICK)
    asked.environments = asked.environments or asked.cache / "environments"
    return asked


def _note(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
