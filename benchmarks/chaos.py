"""Kills runs at random moments, lets them go on, and compares what they end with. `python -m benchmarks.chaos`

Two ways. Forked: a process that holds torch already forks the worker's own `main`, so that a hundred kills take minutes; worker and
keeper die together. Real: an app in a process of its own starts keeper and worker, and any of the three is killed. The run is a real
training of a tiny model (with dropout where forked); its undisturbed end is known, and what was killed and went on must end with the
same bits. Where only the worker is killed its keeper takes that for want of memory and goes on with half the tokens at once: then 1e-5
is allowed.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import torch
from safetensors.torch import load_file

from loralab.core.events import Ended, RunView, read
from loralab.core.jobs import TrainJob
from loralab.core.paths import CHECKOUT
from loralab.lab import Lab
from loralab.runs import runs, worker
from tests.support import models

APP = "import sys, time\nfrom loralab.lab import Lab\nlab = Lab(sys.argv[1])\n{act}\nwhile True: lab.runs(); time.sleep(0.2)"
CLOSE = 1e-5  # largest difference of a weight where micro-batches were cut in another way
PER_RUN = 10  # kills in one run, forked
VICTIMS = {
    "app": ("app",),
    "worker": ("worker",),
    "keeper": ("keeper",),
    "worker and keeper": ("keeper", "worker"),
    "all three": ("app", "keeper", "worker"),
}


@dataclass
class Tally:
    """What became of one kind of fault."""

    tried: int = 0
    survived: int = 0
    worst: float = 0.0  # largest difference of any weight
    moments: Counter[str] = field(default_factory=Counter)


def prepare(place: Path, steps: int = 90) -> dict[str, Any]:
    """A tiny model, uneven examples and the plan of a short run on them."""
    model, data = models.model_folder(place / "model"), models.uneven_file(place / "examples.jsonl", 40)
    settings = {"dropout": 0.2, "max_steps": steps, "eval_every": 5, "checkpoint_minutes": 0.002, "epochs": 100.0}
    return models.plan(data, base_model=str(model), **settings).model_dump()


def adapter(folder: Path) -> dict[str, torch.Tensor]:
    """The weights a run ended with."""
    return load_file(folder / "artifacts" / "adapter" / "adapter_model.safetensors")


def difference(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> float:
    """Largest difference of any weight; 0 only where every bit is the same."""
    if ours.keys() != theirs.keys():
        return float("inf")
    return max(
        0.0 if torch.equal(ours[name], theirs[name]) else max((ours[name] - theirs[name]).abs().max().item(), 1e-30) for name in ours
    )


def moment(path: Path) -> str:
    """What a run was doing when its log ended."""
    events = read(path / "events.jsonl")[0]
    last = events[-1].type if events else "nothing"
    names = {"stepped": "between updates", "evaluated": "while saving a copy", "saved": "after saving", "noted": "loading or judging"}
    return names.get(last, "starting")


# ---- forked ------------------------------------------------------------------------------------------------------------------


def new_run(place: Path, name: str, plan: dict[str, Any]) -> Path:
    """A run folder with its job, as the app writes it."""
    path = place / name
    path.mkdir(parents=True)
    job = TrainJob(run=name, plan=plan, model=plan["base_model"])
    (path / "job.json").write_text(job.model_dump_json())
    return path


def attempt(path: Path, seconds: float | None) -> bool:
    """The worker's main in a fork, killed after `seconds` (None: not at all); whether it was killed before its last words."""
    before = sum(isinstance(event, Ended) for event in read(path / "events.jsonl")[0])
    child = os.fork()
    if child == 0:
        with (path / "worker.log").open("ab") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            os._exit(worker.main([str(path)]))
    limit = time.monotonic() + (seconds if seconds is not None else float("inf"))
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        if time.monotonic() >= limit:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            break
        time.sleep(0.002)
    return sum(isinstance(event, Ended) for event in read(path / "events.jsonl")[0]) == before


def forked(place: Path, plan: dict[str, Any], kills: int, seed: int = 0, told: Callable[[str], None] = lambda _: None) -> Tally:
    """`kills` kills, at most PER_RUN in a run, each at a moment drawn from the whole length of an undisturbed run."""
    for module in ("job", "text"):
        importlib.import_module(f"loralab.sessions.{module}")  # so that a fork begins with it
    whole, begun = new_run(place, "undisturbed", plan), time.monotonic()
    if attempt(whole, None):
        raise RuntimeError((whole / "worker.log").read_text()[-2000:])
    length, expected = time.monotonic() - begun, adapter(whole)
    draw, tally, number = random.Random(seed), Tally(), 0
    while tally.tried < kills:
        number += 1
        path, hit = new_run(place, f"killed-{number}", plan), 0
        while hit < min(PER_RUN, kills - tally.tried):
            begun = time.monotonic()
            if not attempt(path, draw.uniform(0, length)):
                length = min(length, time.monotonic() - begun)  # the machine is less busy than when it was measured
                break
            tally.moments[moment(path)] += 1
            hit += 1
        last = read(path / "events.jsonl")[0]
        if not (last and isinstance(last[-1], Ended)):
            attempt(path, None)
        found = difference(expected, adapter(path)) if (path / "artifacts" / "adapter").is_dir() else float("inf")
        tally.tried += hit
        tally.survived += hit * (found == 0.0)
        tally.worst = max(tally.worst, found)
        told(f"run {number}: {hit} kills, difference {found:g}")
    return tally


# ---- real processes ----------------------------------------------------------------------------------------------------------


def open_app(home: Path, act: str) -> subprocess.Popen[bytes]:
    """An app without a screen: it does `act` and then looks at the runs, as the list in the browser does."""
    return subprocess.Popen([sys.executable, "-c", APP.format(act=act), str(home)], cwd=CHECKOUT, stderr=subprocess.DEVNULL)


def wait_for(true: Callable[[], Any], seconds: float = 120.0) -> Any:
    """Wait until `true()` is; raises TimeoutError."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if found := true():
            return found
        time.sleep(0.02)
    raise TimeoutError(f"not within {seconds:.0f} s")


def processes(path: Path) -> dict[str, psutil.Process]:
    """Keeper and worker of a run that are alive, by their command lines."""
    found: dict[str, psutil.Process] = {}
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if str(path) in line:
            found["keeper" if "loralab.runs.supervisor" in line else "worker"] = process
    return found


def real(
    home: Path, plan: dict[str, Any], victims: tuple[str, ...], kills: int, length: float, draw: random.Random
) -> tuple[int, RunView, Path]:
    """One run through app, keeper and worker, its `victims` killed `kills` times; (kills that hit, its view at the end, its folder)."""
    app = open_app(home, f"lab.start({plan!r})")
    run = wait_for(lambda: [*home.glob("runs/*/worker.json")])[0].parent
    hit = 0
    try:
        for _ in range(kills):
            wait_for(lambda: "worker" in processes(run) or not runs.view(home, run.name).active)
            time.sleep(draw.uniform(0, length))
            if not runs.view(home, run.name).active:
                break
            alive = {**processes(run), "app": psutil.Process(app.pid)}
            hit += any(victim in alive for victim in victims)
            for victim in victims:
                if victim in alive:
                    alive[victim].kill()
            if "app" in victims:
                app.wait()
                app = open_app(home, "")
            if "keeper" in victims:
                wait_for(lambda: not runs.view(home, run.name).active)
                if runs.view(home, run.name).state != "finished":
                    runs.resume(home, run.name)
        wait_for(lambda: not runs.view(home, run.name).active)
        if runs.view(home, run.name).state != "finished":  # a keeper goes on by itself twice, then it asks
            runs.resume(home, run.name)
            wait_for(lambda: not runs.view(home, run.name).active)
    finally:
        app.kill()
        app.wait()
    return hit, runs.view(home, run.name), run


def with_processes(place: Path, plan: dict[str, Any], kills: int, told: Callable[[str], None], seed: int = 0) -> dict[str, Tally]:
    """Every kind of victim, `kills` kills each in one run of its own."""
    lab, begun = Lab(place / "undisturbed"), time.monotonic()
    whole = lab.start(plan)
    lab.wait(whole)
    length, expected, draw = time.monotonic() - begun, adapter(lab.home / "runs" / whole), random.Random(seed)
    tallies: dict[str, Tally] = {}
    for number, (name, victims) in enumerate(VICTIMS.items()):
        home = place / f"home-{number}"
        home.mkdir()
        hit, view, run = real(home, plan, victims, kills, length, draw)
        found = difference(expected, adapter(run)) if view.state == "finished" else float("inf")
        bound = CLOSE if victims == ("worker",) else 0.0
        tallies[name] = Tally(hit, hit * (found <= bound), found)
        told(f"{name}: {hit} kills, {view.state}, difference {found:g}")
    return tallies


# ---- the table ---------------------------------------------------------------------------------------------------------------


def table(tallies: dict[str, Tally]) -> str:
    """Faults tried, survived and lost, as Markdown."""
    rows = ["| killed with SIGKILL | tried | survived | lost | largest difference of a weight |", "|---|---|---|---|---|"]
    for name, tally in tallies.items():
        rows.append(f"| {name} | {tally.tried} | {tally.survived} | {tally.tried - tally.survived} | {tally.worst:g} |")
    tried, survived = (sum(getattr(tally, part) for tally in tallies.values()) for part in ("tried", "survived"))
    return "\n".join([*rows, f"| **all** | **{tried}** | **{survived}** | **{tried - survived}** | |"])


def main() -> None:
    """Both ways, and the table."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--kills", type=int, default=100, help="forked workers to kill")
    asked.add_argument("--each", type=int, default=4, help="kills of each kind among real processes")
    given = asked.parse_args()
    torch.set_num_threads(1)

    def told(text: str) -> None:
        sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")

    with tempfile.TemporaryDirectory() as name:
        place = Path(name).resolve()
        plan = prepare(place)
        forks = forked(place / "forked", plan, given.kills, told=told)
        # without dropout: half the tokens at once draw other random numbers, which is another draw of the same training
        tallies = {"worker, forked": forks} | with_processes(place, plan | {"dropout": 0.0}, given.each, told)
    sys.stdout.write(f"{table(tallies)}\n\nMoments of the forked kills: {dict(forks.moments)}\n")


if __name__ == "__main__":
    main()
