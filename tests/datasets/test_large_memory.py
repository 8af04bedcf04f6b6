"""A large file passes through the command line in little memory."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from loralab.core.paths import CHECKOUT

pytestmark = pytest.mark.nightly
ROWS, ROOM = 25_000, 700 << 20
LIMITED = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_DATA, ({room}, {room})); sys.argv = ['loralab', *sys.argv[1:]]; "
LIMITED += "runpy.run_module('loralab', run_name='__main__')"


@pytest.mark.skipif(sys.platform != "linux", reason="only there memory can be limited for a process")
def test_a_large_file_is_read_within_a_room_that_does_not_grow_with_it(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "letters.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["question", "answer"])
        writer.writerows((f"What does letter {i} say?", f"It says {i}.\n" + "All is well here, and warm. " * 110) for i in range(ROWS))
    assert path.stat().st_size > 72e6
    command = [sys.executable, "-c", LIMITED.format(room=ROOM), "data", str(path), "--home", str(home)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert f"{ROWS}" in done.stdout.replace(",", ""), done.stderr[-2000:]
    assert done.returncode == 0
