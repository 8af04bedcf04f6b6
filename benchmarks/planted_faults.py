"""Plants faults in the guards of a copy of LoRALab, one after the other, and looks whether the quick suite goes red.

    python -m benchmarks.planted_faults [name ...]      all of them, or those named; --list names them

One JSON object a line: the fault, whether it was caught, by which test, in how many seconds. Exit code 1 when one was not caught, or when
the line it changes is not there any more. Invariant: the checkout it is started in is not changed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
PARTS = ("loralab", "advisor", "ui", "tests", "benchmarks", "data", "docs", "launch.py", "pyproject.toml", "requirements.txt", "README.md")


@dataclass(frozen=True)
class Fault:
    """One line made wrong in `file`, and the tests of the quick suite that are to notice."""

    name: str
    file: str
    line: str  # a part of it that stands there once
    wrong: str
    tests: str
    tier: str = "unit"
    only: str = ""  # of those tests, as pytest's -k has it


FAULTS = (
    Fault("label masking", "loralab/models/tokenize.py", "not added and 1 in marks[first:end]", "not added", "tests/models/test_encode.py"),
    Fault("split leak", "loralab/datasets/dataset.py", " if place not in held)", ")", "tests/datasets/test_split.py"),
    Fault(
        "reader counts",
        "loralab/datasets/dataset.py",
        "n_read=len(examples) + len(left_out)",
        "n_read=len(examples)",
        "tests/datasets/test_profile.py",
    ),
    Fault("checkpoint seal", "loralab/train/checkpoint.py", "sealed != _digest(path)", "False", "tests/train/test_checkpoint.py"),
    Fault("token budget", "loralab/sessions/text.py", "longest * (len(parts[-1]) + 1) > budget", "False", "tests/sessions/test_text.py"),
    Fault("event fold", "loralab/core/events.py", "if event.resumed:", "if False:", "tests/core/test_events.py"),
    Fault(
        "verdict statistics",
        "loralab/evaluations/shared/paired.py",
        "if found.low > 0 or found.high < 0:",
        "if found.difference != 0:",
        "tests/evaluations/test_verdict.py tests/evaluations/test_evaluations.py",
    ),
    Fault("many measures", "loralab/evaluations/shared/paired.py", "* (len(chances) - rank)", "", "tests/evaluations/test_verdict.py"),
    Fault(
        "never twice",
        "loralab/planning/limits.py",
        "return self.at_or_beyond(failed) and not",
        "return False and not",
        "tests/advisor/test_limits.py",
    ),
    Fault(
        "learning-rate factor",
        "loralab/train/optim.py",
        "return 1 - position",
        "return 1 - position / 2",
        "tests/train/test_loop.py",
        "test",
    ),
    Fault(
        "guard against NaN",
        "loralab/train/guard.py",
        "if not (math.isfinite(loss) and math.isfinite(norm)):\n        _not",
        "if False:\n        _not",
        "tests/train/test_guard.py",
        "test",
        "bad_row",
    ),
    Fault("queue order", "loralab/runs/queue.py", "run = order.waiting[0]", "run = order.waiting[-1]", "tests/runs/test_queue.py", "test"),
    Fault(
        "parity bound",
        "loralab/exports/parity/checks.py",
        "ok = far <= bound.largest and",
        "ok = True or",
        "tests/exports/test_parity.py",
        "test",
    ),
)


def plant(fault: Fault, tree: Path) -> bool:
    """Put the fault into a copy of the checkout; False where its line is not there, or not once."""
    for part in PARTS:
        source = CHECKOUT / part
        if source.is_dir():
            shutil.copytree(source, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, tree / part)
    path = tree / fault.file
    text = path.read_text("utf-8") if path.is_file() else ""
    if text.count(fault.line) != 1:
        return False
    path.write_text(text.replace(fault.line, fault.wrong), "utf-8")
    return True


def tried(fault: Fault) -> dict[str, object]:
    """What the quick suite says about the fault."""
    with tempfile.TemporaryDirectory(prefix="planted-") as place:
        tree = Path(place) / "tree"
        tree.mkdir()
        if not plant(fault, tree):
            return {"fault": fault.name, "caught": False, "by": "its line is not there any more"}
        chosen = ["-k", fault.only] if fault.only else []
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            "--tier",
            fault.tier,
            "-p",
            "no:cacheprovider",
            *chosen,
            *fault.tests.split(),
        ]
        begun = time.monotonic()
        done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
        by = next((line for line in done.stdout.splitlines() if line.startswith("FAILED ")), "").removeprefix("FAILED ").partition(" - ")[0]
        return {"fault": fault.name, "caught": done.returncode == 1 and bool(by), "by": by, "seconds": round(time.monotonic() - begun)}


def main(names: list[str]) -> int:
    """Try the faults named, or all."""
    if names == ["--list"]:
        sys.stdout.write("\n".join(fault.name for fault in FAULTS) + "\n")
        return 0
    missed = 0
    for fault in FAULTS:
        if not names or fault.name in names:
            found = tried(fault)
            missed += not found["caught"]
            sys.stdout.write(json.dumps(found) + "\n")
            sys.stdout.flush()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
