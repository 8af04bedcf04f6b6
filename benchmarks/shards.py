"""Most memory, and processor time, of writing examples as token ids in Arrow files: python -m benchmarks.shards FOLDER [ROWS ...]

Each number of rows in a process of its own, read piece by piece whatever the size of the file.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

WORDS = ("the", "sea", "is", "green", "and", "sky", "blue", "coal", "black", "snow", "white", "on", "a", "quiet", "day", "in", "winter")


def rows_file(path: Path, rows: int) -> Path:
    """Question and answer rows of about sixty words, no two alike."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            said = " ".join(WORDS[(number * step) % len(WORDS)] for step in range(1, 46))
            file.write(json.dumps({"prompt": f"Tell me about day {number}, please, in a few words.", "completion": said}) + "\n")
    return path


def measure(folder: Path, rows: int) -> None:
    """Write that many rows, and print what it took."""
    from loralab.datasets.large import reading
    from loralab.lab import Lab

    reading.LARGE = 1
    file = rows_file(folder / f"rows-{rows}.jsonl", rows)
    found = Lab(folder / "home").shards(file, folder / f"shards-{rows}", max_length=128)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    used = f"Most memory {peak:.0f} MB, processor {time.process_time():.0f} s"
    sys.stdout.write(f"{rows:,} rows, {file.stat().st_size / 1e6:.0f} MB: {found.words} {used}\n")


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.mkdir(parents=True, exist_ok=True)
    if sys.argv[2:3] == ["--one"]:
        measure(place, int(sys.argv[3]))
    else:
        for each in map(int, sys.argv[2:] or ("20000", "80000")):
            subprocess.check_call([sys.executable, "-m", "benchmarks.shards", str(place), "--one", str(each)])
