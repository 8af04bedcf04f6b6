"""How long LoRALab takes to be there: a command's help, the catalogue, the first page, the app that can be used.

    python -m benchmarks.start_up --rounds 5

Each round does all of them in turn, with two references: Python with nothing to do, and Gradio alone. Seconds by the clock, from the start
of the process to its end, or to the first answer of the page that `launch.py` and the app serve; the median and the range of the rounds,
with processor seconds beside them, which a busy machine moves less. The load of the machine before and after is printed with them.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from loralab.core.paths import CHECKOUT
from loralab.setup.opened import choose_port, running_link

Taken = tuple[float, float]  # seconds by the clock, of a processor (nan where a process is ended before it is through)
PATIENCE = 300.0


def whole(*words: str) -> Taken:
    """A Python process from its start to its end."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *words], cwd=CHECKOUT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - begun, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def opening() -> tuple[Taken, Taken]:
    """launch.py from its start to its first page, and to the app behind it that answers whoever holds its link."""
    with tempfile.TemporaryDirectory() as home:
        words = ["launch.py", "--no-browser", "--home", home, "--port", str(choose_port(None))]
        begun = time.perf_counter()
        with subprocess.Popen([sys.executable, *words], cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
            try:
                first = _until(lambda: running_link(Path(home)), begun)
                usable = _until(lambda: "?key=" in (running_link(Path(home)) or ""), begun)
            finally:
                child.terminate()
    return (first, math.nan), (usable, math.nan)


def _until(there: Callable[[], object], begun: float) -> float:
    """Seconds since `begun` once something is there. Raises TimeoutError."""
    while not there():
        if time.perf_counter() - begun > PATIENCE:
            raise TimeoutError("It did not open.")
        time.sleep(0.01)
    return time.perf_counter() - begun


def _load() -> str:
    return " ".join(f"{load:.1f}" for load in os.getloadavg())


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print a line for each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start_up", description="How long LoRALab takes to be there.")
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args(argv).rounds
    _say(f"load before: {_load()}")
    taken: dict[str, list[Taken]] = {}
    for turn in range(rounds + 1):  # the first only warms the caches
        found = {
            "reference: python -c pass": whole("-c", "pass"),
            "python -m loralab --help": whole("-m", "loralab", "--help"),
            "python -m loralab models": whole("-m", "loralab", "models"),
            "reference: import gradio": whole("-c", "import gradio"),
        }
        found["launch.py: first page"], found["launch.py: usable app"] = opening()
        for name, seconds in found.items():
            taken.setdefault(name, []).extend([seconds] if turn else [])
    for name, each in taken.items():
        clock, work = zip(*each, strict=True)
        told = f"{name:28} {statistics.median(clock):6.2f} s ({min(clock):.2f} to {max(clock):.2f})"
        _say(told if math.isnan(work[0]) else f"{told}  processor {statistics.median(work):.2f} s")
    _say(f"load after: {_load()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
