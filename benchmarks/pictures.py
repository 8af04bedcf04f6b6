"""Trains on three real data sets of pictures as one click does, and writes what came of it; and a plain Trainer beside it.

    python -m benchmarks.pictures --data FOLDER --home HOME [--only pneumonia_folders,nuclei_masks,blood_cells_voc] [--seeds 0] [--peer]

FOLDER holds the zips: chest X-rays in class folders (MedMNIST, CC BY 4.0; its own test folder is held out), nuclei with masks (DSB 2018,
CC0) and blood cells in boxes (BCCD, MIT; its own test list is held out). Nothing is set by hand but the seed. `--peer` also trains Hugging
Face's Trainer with PEFT on the very same model, pictures and batch, from the same quick look, for thirty updates in a process of its own,
and gives seconds of an update and memory as ratios. The exit code is 1 where a goal was missed.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from loralab.lab import Lab

GOALS: dict[str, dict[str, float]] = {
    "pneumonia_folders": {"auc": 0.97, "accuracy": 0.90, "minutes": 6},
    "nuclei_masks": {"dice": 0.94, "worst_dice": 0.80, "minutes": 6},
    "blood_cells_voc": {"map50": 0.90, "recall_platelets": 0.90, "minutes": 12},
}


@dataclass(frozen=True)
class Trained:
    """One run: what was measured, and what it took."""

    data: str
    seed: int
    minutes: float
    report: dict[str, Any]

    def cell(self, name: str, goal: float) -> str:
        """A measure with its interval, and whether the goal was met."""
        if name == "minutes":
            return f"{self.minutes:.1f} min ({'met' if self.minutes <= goal else 'MISSED'}: {goal:g})"
        found = self.report["measures"].get(name)
        if found is None:
            return f"{name}: not measured"
        between = f" ({found['low']:.3f} to {found['high']:.3f})" if found["low"] is not None else ""
        return f"{name} {found['after']:.3f}{between} ({'met' if found['after'] >= goal else 'MISSED'}: {goal:g})"

    @property
    def met(self) -> bool:
        return "MISSED" not in self.line and "not measured" not in self.line

    @property
    def line(self) -> str:
        cells = [self.cell(name, goal) for name, goal in GOALS[self.data].items()]
        said = f"{self.report['learned']} / {self.report['usable']}"
        return f"| {self.data} | {self.seed} | {' | '.join(cells)} | {said} | {self.report['peak_memory_bytes'] / 1e9:.2f} GB |"


def main() -> None:
    """Train, print the table, fail where a goal was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--only", default=",".join(GOALS))
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--as-peer", default="", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.as_peer:
        _be_peer(Path(asked.as_peer))
        return
    load = psutil.getloadavg()[0]
    sys.stderr.write(f"load before: {load:.1f}{'' if load < 1 else ': this machine is not quiet'}\n")
    lab, found = Lab(asked.home), list[Trained]()
    lab.measure_speed()
    for data in asked.only.split(","):
        for seed in map(int, asked.seeds.split(",")):
            found.append(train(lab, asked.data / f"{data}.zip", seed))
            sys.stderr.write(f"{found[-1].line}\n{found[-1].report['learned_words']}\n")
            if asked.peer:
                sys.stderr.write(beside(lab, found[-1]) + "\n")
    head = "| data | seed | first goal | second goal | time | learned / usable | peak memory |\n|---|--:|---|---|---|---|--:|"
    sys.stdout.write("\n".join([head, *(one.line for one in found)]) + "\n")
    sys.exit(not all(one.met for one in found))


def train(lab: Lab, path: Path, seed: int) -> Trained:
    """Read the zip, press Start, wait for the verdict."""
    begun = time.monotonic()
    run = lab.start(lab.propose(lab.profile(path), seed=seed))
    lab.wait(run)
    return Trained(path.stem, seed, (time.monotonic() - begun) / 60, lab.report(run))


# ---- the peer ----------------------------------------------------------------------------------------------------------------


def beside(lab: Lab, ours: Trained) -> str:
    """Trainer on the same, in its own process: our seconds and memory of an update against its."""
    folder = lab.home / "runs" / ours.report["run"]
    command = [sys.executable, "-m", "benchmarks.pictures", "--data", ".", "--home", str(lab.home), "--as-peer", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    theirs = json.loads(done.stdout.strip().splitlines()[-1])
    mine = ours.report["seconds"] / max(1, ours.report["steps"])
    ratio, memory = theirs["seconds"] / theirs["steps"] / mine, ours.report["peak_memory_bytes"] / theirs["peak"]
    return f"{ours.data}: an update of ours takes {1 / ratio:.2f} of Trainer's seconds and {memory:.2f} of its memory."


def _be_peer(folder: Path) -> None:
    """Hugging Face's Trainer with PEFT on the model and pictures of a run, for so many updates; one line of JSON."""
    import torch
    from transformers import Trainer, TrainingArguments

    from loralab.core.events import EventLog
    from loralab.runs.run_folder import RunFolder, read_job
    from loralab.tasks import parse_plan, tasks

    torch.set_num_threads(psutil.cpu_count(logical=False) or 1)
    asked = read_job(folder)
    plan = parse_plan(asked.plan)
    place = folder.parent / f"{folder.name}-peer"  # the quick look of the run is taken as it is
    place.mkdir(exist_ok=True)
    session: Any = tasks()[plan.task].open(plan, RunFolder(place, asked, EventLog(place / "events.jsonl")))
    examples, updates = list(session.train_examples), 30

    class Pictures(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return len(examples)

        def __getitem__(self, at: int) -> Any:
            return session.album.seen(examples[at], 0), examples[at]

    class Wrapped(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = session.model

        def forward(self, pixels: Any, **targets: Any) -> Any:
            loss, n = session.kind.loss(session.head, self.inner(pixels), targets)
            return {"loss": loss / n}

    def collate(rows: Sequence[Any]) -> dict[str, Any]:
        shown, own = [row[0] for row in rows], [row[1] for row in rows]
        pixels = torch.stack([torch.from_numpy(one.pixels).permute(2, 0, 1).float() for one, _ in shown])
        return {"pixels": pixels, **session.kind.targets(own, shown)}

    how = TrainingArguments(
        output_dir=str(folder / "peer"),
        per_device_train_batch_size=session.plan.effective_batch,
        max_steps=updates,
        learning_rate=plan.learning_rate,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        use_cpu=True,
        remove_unused_columns=False,
        dataloader_num_workers=0,
    )
    trainer = Trainer(model=Wrapped(), args=how, train_dataset=Pictures(), data_collator=collate)
    begun = time.monotonic()
    trainer.train()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    sys.stdout.write(json.dumps({"steps": updates, "seconds": time.monotonic() - begun, "peak": peak}) + "\n")


if __name__ == "__main__":
    main()
