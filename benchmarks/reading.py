"""Reading a large file: rows a second and most memory, LoRALab's way beside `datasets.load_dataset` on the same file, each in a process of
its own: python -m benchmarks.reading [ROWS]. Results: docs/measurements/reading.md.

What is compared is not the same work: `load_dataset` turns a file into a table, LoRALab into examples with roles, copies and split found.
"""

from __future__ import annotations

import csv
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORDS = "the a river house green little market under storm garden teacher window letter music train winter bread silver".split()  # noqa: SIM905
OURS = """
from loralab.datasets.loading import load_examples
from loralab.datasets.dataset import split
from loralab.datasets.large import reading
reading.LARGE = 0
found, _ = load_examples(Path(path), home=Path(room))
split(found)
"""
THEIRS = """
from datasets import load_dataset
load_dataset(kind, data_files=path, split="train", cache_dir=room)
"""
FRAME = """
import re, sys, time
from pathlib import Path
kind, path, room = sys.argv[1:]
begun, used = time.monotonic(), time.process_time()
{work}
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024
sys.stdout.write(f"RESULT {{time.monotonic() - begun}} {{time.process_time() - used}} {{peak}}" + "\n")
"""


def rows(n: int) -> list[dict[str, object]]:
    """Questions and answers of 60 words in all."""
    draw = random.Random(0)
    return [
        {"id": i, "question": f"{i}: {' '.join(draw.choices(WORDS, k=15))}?", "answer": " ".join(draw.choices(WORDS, k=45))}
        for i in range(n)
    ]


def write(kind: str, made: list[dict[str, object]], path: Path) -> None:
    """The rows as a file of this kind."""
    if kind == "json":
        path.write_text("".join(json.dumps(row) + "\n" for row in made))
    elif kind == "csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(made[0]))
            writer.writeheader()
            writer.writerows(made)
    else:
        import pyarrow as pa
        from pyarrow import parquet

        parquet.write_table(pa.Table.from_pylist(made), path)


def measured(work: str, kind: str, path: Path) -> tuple[float, float, int]:
    """(seconds, seconds of processor, most MB) of this work in a process of its own."""
    with tempfile.TemporaryDirectory() as room:
        done = subprocess.run(
            [sys.executable, "-c", FRAME.format(work=work), kind, str(path), room], capture_output=True, text=True, check=True
        )
    found = re.search(r"RESULT (\S+) (\S+) (\d+)", done.stdout)
    if found is None:
        raise RuntimeError(done.stdout)
    return float(found[1]), float(found[2]), int(found[3])


def main(n: int) -> None:
    """Print a table of all kinds."""
    made = rows(n)
    sys.stdout.write(f"{n:,} rows, {time.strftime('%Y-%m-%d')}" + "\n")
    for kind in ("json", "csv", "parquet"):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / {"json": "rows.jsonl"}.get(kind, f"rows.{kind}")
            write(kind, made, path)
            ours, theirs = measured(OURS, kind, path), measured(THEIRS, kind, path)
            for name, (seconds, used, peak) in (("LoRALab", ours), ("datasets", theirs)):
                rate = f"{n / seconds:9,.0f} rows/s  {n / used:9,.0f} rows per second of processor"
                sys.stdout.write(f"{kind:8} {path.stat().st_size / 1e6:5.0f} MB  {name:9} {rate}  {peak:5} MB" + "\n")
            sys.stdout.write(f"{kind:8} ratios: processor {ours[1] / theirs[1]:.1f}, memory {ours[2] / theirs[2]:.2f}" + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
