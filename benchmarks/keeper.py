"""What the keeper costs: milliseconds from the spawn to the worker's Started, with it and without, and its memory. In turns, 15 of each."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 15


def started(module: str, folder: Path) -> tuple[float, int]:
    """Milliseconds until the log has its first line, and the process's memory in bytes at that moment."""
    folder.mkdir()
    (folder / "job.json").write_text('{"kind": "nothing", "run": "r"}')
    log, begun = folder / "events.jsonl", time.perf_counter()
    with (folder / "worker.log").open("ab") as said:
        child = subprocess.Popen([sys.executable, "-m", module, str(folder)], cwd=ROOT, stdout=said, stderr=said, env=dict(os.environ))
    while not log.exists() or not log.stat().st_size:
        time.sleep(0.0005)
    took, memory = 1e3 * (time.perf_counter() - begun), psutil.Process(child.pid).memory_info().rss
    child.wait()
    return took, memory


def main() -> None:
    """Print medians and quartiles of both ways and of their difference, round by round."""
    with tempfile.TemporaryDirectory() as room:
        rows = [[started(f"loralab.{name}", Path(room) / f"{name}-{n}") for name in ("worker", "keeper")] for n in range(ROUNDS)]
    for name, values in (
        ("worker alone, ms", [alone[0] for alone, _ in rows]),
        ("with its keeper, ms", [kept[0] for _, kept in rows]),
        ("difference, ms", [kept[0] - alone[0] for alone, kept in rows]),
        ("keeper's memory, MB", [kept[1] / 1e6 for _, kept in rows]),
    ):
        low, middle, high = statistics.quantiles(values, n=4)
        sys.stdout.write(f"{name:22} median {middle:6.1f}   quartiles {low:6.1f} {high:6.1f}   least {min(values):6.1f}\n")


if __name__ == "__main__":
    main()
