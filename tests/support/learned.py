"""Owns the one training that many tests look at: made once a session by a real worker, copied by whoever changes something in it."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from loralab.lab import Lab
from loralab.runs import runs
from loralab.tasks import parse_plan
from tests.support import tiny

SETTINGS = {"max_length": 64, "rank": 4, "epochs": 2, "learning_rate": 5e-3, "checkpoint_minutes": 0.001, "eval_every": 5}


@dataclass(frozen=True)
class Learned:
    """A finished, judged run with its checkpoints on a tiny model; for reading only."""

    home: Path
    run: str

    def copy(self, home: Path) -> str:
        """The same run, model and data in another workspace that may be changed; returns the run's id."""
        shutil.copytree(self.home, home, dirs_exist_ok=True)
        for path in (*(home / "runs").rglob("*.json"), *(home / "runs").rglob("*.jsonl")):
            path.write_text(path.read_text("utf-8").replace(str(self.home), str(home)), "utf-8")
        return self.run


def train_once(shared: Path) -> Learned:
    """The run, trained by whichever test process asks first; `shared` is a folder that all of them see."""
    home, told = shared / "learned", shared / "learned.run"
    with FileLock(shared / "learned.lock"):
        if not told.exists():
            shutil.rmtree(home, ignore_errors=True)
            told.write_text(_train(home), "utf-8")
    return Learned(home, told.read_text("utf-8"))


def _train(home: Path) -> str:
    base = tiny.model_folder(home / "models" / "base")
    plan = parse_plan({"dataset": str(tiny.examples_file(home / "colours.jsonl")), "base_model": str(base), **SETTINGS})
    run = runs.start(Lab(home).home, "train", plan=plan.model_dump(), options={"model": str(base)})
    while (view := runs.view(home, run)).active:
        time.sleep(0.05)
    assert view.state == "finished", view.ending
    return run
