"""Kinds of adapters, ranks, optimisers and ratios against each other: held-out loss at equal updates, each at its best learning rate.

    python -m benchmarks.adapters_sweep [--base starter=FOLDER ...] [--data customer_messages ...] [--updates 120] [--rates 0.33 1 3]
                                        [--only NAME ...] [--seeds 0 1 2] [--out results.jsonl]

The loop a worker runs, without its verdict. What is lowest is told with its distance from plain LoRA; the distance between seeds of plain
LoRA says how much of that is chance. Muon is no setting: it is tried here to see whether it should be one. Results are appended to --out,
and what is there already is not run again.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from loralab.core.paths import SAMPLES, STARTER

DATA = ("customer_messages", "health_texts", "security_alerts")  # BANKING77, MedQuAD, Splunk security_content: bundled parts of them
RATE = 2e-3  # the planner's for the starter at alpha / rank = 2; a larger base: give other --rates
CHOICES: dict[str, dict[str, Any]] = {
    "lora": {},
    "rslora": {"use_rslora": True, "alpha": 8.0},  # as loud as alpha 32 at rank 16
    "dora": {"adapter": "dora"},
    "pissa": {"adapter": "pissa"},
    "miss": {"adapter": "miss"},
    "progressive": {"rank_schedule": "progressive"},
    "adaptive": {"rank_schedule": "adaptive"},
    "rank 4": {"rank": 4, "alpha": 8.0},
    "lora+ 4": {"lora_plus": 4.0},
    "lora+ 16": {"lora_plus": 16.0},
    "schedule-free adamw": {"optimizer": "schedule_free_adamw", "schedule": "constant"},
    "schedule-free radam": {"optimizer": "schedule_free_radam", "schedule": "constant"},
    "constant": {"schedule": "constant"},
    "linear": {"schedule": "linear"},
    "wsd": {"schedule": "wsd"},
    "muon": {},
}


def cell(name: str, base: Path, data: str, rate: float, seed: int, updates: int) -> dict[str, Any]:
    """One run in this process: lowest held-out loss, the last one, processor seconds and numbers that learn."""
    from loralab.core.events import Evaluated, EventLog, read
    from loralab.core.jobs import TrainJob
    from loralab.runs.run_folder import RunFolder
    from loralab.sessions.text import TextSession
    from loralab.tasks.text import TextPlan
    from loralab.train import loop, preview
    from loralab.train.optim import muon

    asked: dict[str, Any] = {"rank": 16, "alpha": 32.0, "max_length": 128, "patience": 0, "eval_every": max(1, updates // 6)}
    asked |= {"epochs": 1000.0, "max_steps": updates, "learning_rate": rate * RATE, "seed": seed, "dataset": str(SAMPLES / f"{data}.csv")}
    plan = TextPlan.model_validate(asked | CHOICES[name])
    loop._judge, preview.MOST = (lambda run: None), 0  # type: ignore[assignment]  # noqa: SLF001  only the loss is wanted
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        path.mkdir()
        run = RunFolder(path, TrainJob(run="run", plan=plan.model_dump(), model=str(base)), EventLog(path / "events.jsonl"))
        session = TextSession(plan, run)
        if name == "muon":
            session.optimizer = lambda: muon(session.model, plan)  # type: ignore[method-assign]
        begun = time.process_time()
        loop.train(session, plan, run)
        seconds = time.process_time() - begun
        losses = [event.loss for event in read(path / "events.jsonl")[0] if isinstance(event, Evaluated) and event.split == "heldout"]
        trained = sum(p.numel() for p in session.state().values())
    return {"best": min(losses), "last": losses[-1], "seconds": round(seconds, 1), "trained": trained}


def main() -> None:
    """Run what is missing, then print a table for each base and data set."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--base", nargs="+", default=[f"starter={STARTER}"])
    ask.add_argument("--data", nargs="+", default=list(DATA))
    ask.add_argument("--updates", type=int, default=120)
    ask.add_argument("--rates", nargs="+", type=float, default=[0.33, 1.0, 3.0])
    ask.add_argument("--only", nargs="+", default=list(CHOICES))
    ask.add_argument("--seeds", nargs="+", type=int, default=[0])
    ask.add_argument("--out", type=Path, default=Path("adapters_sweep.jsonl"))
    given = ask.parse_args()
    done = [json.loads(line) for line in given.out.read_text().splitlines()] if given.out.exists() else []
    known = {tuple(row["cell"]) for row in done}
    wanted = [
        (named.split("=")[0], Path(named.split("=")[-1]), data, name, rate, seed)
        for named in given.base
        for data in given.data
        for seed in given.seeds
        for name in given.only
        for rate in given.rates
    ]
    for base, folder, data, name, rate, seed in wanted:
        key = (base, data, name, rate, seed, given.updates)
        if key in known:
            continue
        row = {"cell": key} | cell(name, folder, data, rate, seed, given.updates)
        done.append(row)
        with given.out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        say(json.dumps(row))
    tell(done)


def tell(rows: list[dict[str, Any]]) -> None:
    """The best rate of every choice, the lowest loss first; mean over seeds."""
    for base, data in sorted({tuple(row["cell"][:2]) for row in rows}):
        here = [row for row in rows if tuple(row["cell"][:2]) == (base, data)]
        best: dict[str, tuple[float, float, dict[str, Any]]] = {}  # choice -> mean loss, rate, one of its runs
        for name, rate in sorted({tuple(row["cell"][2:4]) for row in here}):
            same = [row for row in here if tuple(row["cell"][2:4]) == (name, rate)]
            mean = sum(row["best"] for row in same) / len(same)
            if name not in best or mean < best[name][0]:
                best[name] = (mean, rate, same[0])
        say(f"\n{base}, {data}\n\n| choice | best rate | held-out loss | last | numbers that learn | processor seconds |")
        say("|---|--:|--:|--:|--:|--:|")
        for name, (mean, rate, row) in sorted(best.items(), key=lambda item: item[1][0]):
            say(f"| {name} | {rate:g}x | {mean:.4f} | {row['last']:.4f} | {row['trained']:,} | {row['seconds']} |")


def say(line: str) -> None:
    """A line of the report."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
