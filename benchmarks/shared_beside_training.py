"""Owns what sharing costs a training: `python -m benchmarks.shared_beside_training FOLDER [--base FOLDER] [--windows 4] [--seconds 40]`.

Two deployments of one base are asked without a pause by two clients, while a training on the same base runs: windows with and without
askers take turns within the one training. Printed is the training's pace with askers as a share of its pace without, measured twice: by
the clock (tokens a second, which whatever else runs here disturbs) and by the work done for a second of the training's own processor
time; how many answers came, how long the first piece took, and the longest wait.

Prediction, written before the first run: shared answers step back by 12 (a sixth of a processor beside heavy work), so the training keeps
80 % or more by the clock, and 90 % or more by its own processor time; answers keep coming, an eighth as fast as alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil

from benchmarks.serving import Side, one_answer
from loralab.core import paths
from loralab.core.events import Ended, EventLog, Saved, Started, Stepped, read
from loralab.core.jobs import TrainJob
from loralab.core.records import Artifact
from loralab.lab import Lab
from loralab.models import fingerprint
from loralab.serve import client as chat
from loralab.tasks import parse_plan
from tests.support import tiny

TOKENS = 32  # of an answer
BUSY_S = 600.0  # seconds to wait for the first updates


def shared(lab: Lab, base: Path, name: str, strength: float) -> str:
    """A deployment whose adapter is random: what it says does not matter here."""
    run = lab.home / "runs" / name
    adapter = tiny.adapter_folder(run / "artifacts" / "adapter", base, strength=strength)
    plan = parse_plan({"dataset": str(tiny.examples_file(lab.home / f"{name}.jsonl", 24)), "base_model": str(base), "rank": 4})
    paths.write_atomic(run / "job.json", TrainJob(run=name, plan=plan.model_dump(), model=str(base)).model_dump_json())
    fingerprint.keep(run, base)
    log = EventLog(run / "events.jsonl")
    for event in (Started(pid=1), Saved(artifact=Artifact(kind="adapter", path=str(adapter))), Ended(outcome="finished")):
        log(event)
    return lab.deploy(name, name).id


def training(lab: Lab, base: Path) -> str:
    """A training that goes on for long enough; its id, once it makes updates."""
    rows = tiny.examples_file(lab.home / "rows.jsonl", 4000)
    plan = parse_plan({"dataset": str(rows), "base_model": str(base), "rank": 8, "epochs": 50, "max_length": 128})
    run = lab.begin(TrainJob(plan=plan.model_dump(), model=str(base)))
    limit = time.monotonic() + BUSY_S
    while lab.view(run).step < 5:
        if time.monotonic() > limit or not lab.view(run).active:
            raise SystemExit(f"the training does not go on: {lab.view(run).ending}")
        time.sleep(0.5)
    return run


def pace(lab: Lab, run: str, seconds: float) -> tuple[float, float]:
    """Tokens learned from in a while: for a second of the clock, and for a second of the training's processor time."""
    file, process = lab.home / "runs" / run / "events.jsonl", _worker(lab, run)
    before, worked, begun = _tokens(file), sum(process.cpu_times()[:2]), time.monotonic()
    time.sleep(seconds)
    done, spent = _tokens(file) - before, time.monotonic() - begun
    return done / spent, done / max(1e-6, sum(process.cpu_times()[:2]) - worked)


def _worker(lab: Lab, run: str) -> psutil.Process:
    started = [event for event in read(lab.home / "runs" / run / "events.jsonl")[0] if isinstance(event, Started)]
    return psutil.Process(started[-1].pid)


def _tokens(file: Path) -> int:
    return sum(event.tokens for event in read(file)[0] if isinstance(event, Stepped))


class Askers:
    """One client for each deployment, asking without a pause until it is told to stop."""

    def __init__(self, sides: list[Side]) -> None:
        self.firsts: list[float] = []
        self.pieces = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(side,), daemon=True) for side in sides]
        for thread in self._threads:
            thread.start()

    def _ask(self, side: Side) -> None:
        while not self._stop.is_set():
            first, pieces = one_answer(side, TOKENS)
            self.firsts.append(first)
            self.pieces += pieces

    def end(self) -> None:
        """Let the answers that are being written come, and no more."""
        self._stop.set()
        for thread in self._threads:
            thread.join()


def measured(look: Callable[[], tuple[float, float]], sides: list[Side], windows: int) -> dict[str, float]:
    """Windows with and without askers in turns."""
    alone, beside, firsts, answers, asked_for = list[tuple[float, float]](), list[tuple[float, float]](), list[float](), 0, 0.0
    for _ in range(windows):
        alone.append(look())
        askers, begun = Askers(sides), time.monotonic()
        beside.append(look())
        askers.end()
        asked_for += time.monotonic() - begun
        firsts += askers.firsts
        answers += askers.pieces

    def ratio(at: int) -> float:
        return statistics.median(one[at] for one in beside) / statistics.median(one[at] for one in alone)

    return {
        "training_tokens_per_second_alone": round(statistics.median(one[0] for one in alone), 1),
        "kept_by_the_clock": round(ratio(0), 3),
        "kept_by_its_processor_time": round(ratio(1), 3),
        "answers": len(firsts),
        "pieces_per_second": round(answers / asked_for, 2),
        "first_piece_median_s": round(statistics.median(firsts), 2),
        "first_piece_longest_s": round(max(firsts), 2),
    }


def main() -> None:
    """Everything, in a folder that may be deleted afterwards."""
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("folder", type=Path)
    reader.add_argument("--base", type=Path, default=paths.STARTER)
    reader.add_argument("--windows", type=int, default=4)
    reader.add_argument("--seconds", type=float, default=40.0)
    given = reader.parse_args()
    lab = Lab(given.folder.resolve())
    names = [shared(lab, given.base, f"deployed-{number}", 0.01 * number) for number in (1, 2)]
    server = lab.serve()
    sides = [Side(name, server.here, lab.owner_key(), name) for name in names]
    run = ""
    try:
        run = training(lab, given.base)
        for side in sides:
            one_answer(side, 2)  # loads the model
        found = measured(lambda: pace(lab, run, given.seconds), sides, given.windows)
        busy = httpx.get(f"{server.here}/health", trust_env=False).is_success
        sys.stdout.write(json.dumps(found | {"server_answers": busy, "load": round(psutil.getloadavg()[0], 1)}) + "\n")
    finally:
        if run:
            lab.stop(run)
        lab.stop_serving()
        chat.release(lab.home)


if __name__ == "__main__":
    main()
