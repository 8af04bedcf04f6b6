"""What it costs a training to be watched: the same training without and with a scraper that asks every five seconds, in turns.

    python -m benchmarks.telemetry_cost --home HOME [--turns 4] [--every 5] > table.md

Each turn trains the starter on a bundled data set twice, once watched, in an order that changes from turn to turn. Compared is the time of
the updates themselves (as the run notes it), and the processor time of its worker, which what else the machine does disturbs less. The
page is served by a process of its own, as `python -m loralab metrics` serves it; its own processor time is told, too: that is what it takes
from a training whatever else goes on.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from loralab.core.jobs import TrainJob
from loralab.lab import Lab

PORT, UPDATES = 9472, 40


class Turn(NamedTuple):
    """One training: seconds of its updates, processor seconds of its worker, and how often it was asked."""

    watched: bool
    seconds: float
    processor: float
    asked: int
    serving: float  # processor seconds of what serves the page, without its start


def main() -> None:
    """Train in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--every", type=float, default=5.0)
    asked = parser.parse_args()
    lab, turns = Lab(asked.home), []
    for place in range(asked.turns):
        for watched in (False, True) if place % 2 == 0 else (True, False):
            turns.append(trained(lab, asked.every, watched=watched))
            sys.stderr.write(f"{turns[-1]}\n")
    sys.stdout.write("\n".join(table(turns)) + f"\n\nLoad of the machine at the end: {os.getloadavg()[0]:.1f}\n")


def trained(lab: Lab, every: float, *, watched: bool) -> Turn:
    """One training of UPDATES updates, judged as shortly as can be."""
    sample = lab.samples()[0]
    plan = lab.propose(lab.profile(sample.path), max_steps=UPDATES, epochs=5.0, patience=0, title="Watched" if watched else "Alone").plan
    with scraper(lab.home, every, on=watched) as answered:
        run = lab.begin(TrainJob(plan=plan, model=str(lab.catalog.folder("starter")), measures=("loss",)))
        worker: psutil.Process | None = None
        processor = 0.0
        while (view := lab.view(run)).active:
            if worker is None and view.step:
                worker = next((one for one in psutil.process_iter(["cmdline"]) if run in " ".join(one.info["cmdline"] or ())
                               and "loralab.runs.worker" in " ".join(one.info["cmdline"] or ())), None)  # fmt: skip
            if worker and worker.is_running() and view.step < UPDATES:
                used = worker.cpu_times()
                processor = used.user + used.system
            time.sleep(0.2)
    seconds = view.steps[-1].time - view.steps[0].time
    return Turn(watched, seconds, processor, int(answered[0]), answered[1])


@contextmanager
def scraper(home: Path, every: float, *, on: bool) -> Iterator[list[float]]:
    """The page served by a process of its own, and a process that asks for it, while the block lasts;
    how often it was asked, and the processor seconds it took.
    """
    answered = [0.0, 0.0]
    if not on:
        yield answered
        return
    command = [sys.executable, "-m", "loralab", "metrics", "--port", str(PORT), "--home", str(home)]
    serving = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    log = home / "scrapes.txt"
    log.write_text("")
    asking = subprocess.Popen([sys.executable, "-c", _ASK, f"http://127.0.0.1:{PORT}/metrics", str(every), str(log)])
    page = psutil.Process(serving.pid)
    while not log.read_text("utf-8"):
        time.sleep(0.1)
    log.write_text("")
    begun = sum(page.cpu_times()[:2])
    try:
        yield answered
    finally:
        answered[1] = sum(page.cpu_times()[:2]) - begun
        for one in (asking, serving):
            one.terminate()
            one.wait(20)
        answered[0] = len(log.read_text("utf-8"))


_ASK = """
import sys, time, urllib.request
while True:
    try:
        urllib.request.urlopen(sys.argv[1], timeout=60).read()
        open(sys.argv[3], "a").write(".")
    except OSError:
        pass
    time.sleep(float(sys.argv[2]))
"""


def table(turns: list[Turn]) -> Iterator[str]:
    """Medians of both sides, and their ratio."""
    yield "| | updates, seconds (median) | processor seconds (median) | asked |"
    yield "|---|--:|--:|--:|"
    sides = {watched: [turn for turn in turns if turn.watched == watched] for watched in (False, True)}
    found = {
        watched: (statistics.median(t.seconds for t in side), statistics.median(t.processor for t in side))
        for watched, side in sides.items()
    }
    for watched, (seconds, processor) in found.items():
        yield f"| {'watched' if watched else 'alone'} | {seconds:.2f} | {processor:.2f} | {sum(turn.asked for turn in sides[watched])} |"
    ratios = [100 * (found[True][at] / found[False][at] - 1) for at in (0, 1)]
    asked, took = sum(turn.asked for turn in sides[True]), sum(turn.serving for turn in sides[True])
    yield f"| watched, against alone | {ratios[0]:+.1f} % | {ratios[1]:+.1f} % | |"
    if asked:
        yield f"\nA page takes {1000 * took / asked:.0f} ms of one processor; at one in 5 seconds {20 * took / asked:.2f} % of a core."


if __name__ == "__main__":
    main()
