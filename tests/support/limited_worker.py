"""Owns a real worker that gets only so much memory for its training: `python -m tests.support.limited_worker RUN_FOLDER MEGABYTES`.

The limit (RLIMIT_AS) is set once model and examples are loaded, so that what fails is a step and not an import; 0 sets none. What comes
after the training is left out, because that is another kind of work. The last line it prints is the most its training took, in megabytes.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Any

from loralab.runs import worker
from loralab.train import loop
from loralab.train.state import Run

# Every tensor gets pages of its own and gives them back: otherwise what a limit of so many megabytes allows would be left to chance.
ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"}


def main(folder: str, megabytes: int) -> int:
    """The worker's exit code."""
    prepare, finish, taken = loop.prepare, loop.finish, 0

    def limited(*arguments: Any) -> Run:
        nonlocal taken
        run = prepare(*arguments)
        taken = _virtual("VmSize:")
        if megabytes:
            resource.setrlimit(resource.RLIMIT_AS, (taken + megabytes * 2**20, resource.RLIM_INFINITY))
        return run

    def unlimited(run: Run) -> dict[str, Any]:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        return finish(run)

    loop.prepare, loop.finish, loop._judge = limited, unlimited, lambda run: None
    code = worker.main([folder])
    sys.stdout.write(f"{(_virtual('VmPeak:') - taken) // 2**20}\n")
    return code


def _virtual(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
