"""Owns the launcher, `python -m loralab.train.launcher FOLDER`: between a run's keeper and its workers, where several learn together.

Under torchrun or Slurm there is none. Invariant: it ends when its keeper is gone, and its workers when it is.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from torch.distributed import run as torchrun
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from loralab.core.errors import UserError
from loralab.core.masking import masked
from loralab.runs.launch import Launch, arguments, read_launch
from loralab.runs.protocol import KEEPER, LAUNCH
from loralab.runs.worker_lock import follow_keeper


def main(given: list[str]) -> int:
    """Start the processes of this machine and wait for them; the exit code is that of process 0, where it says one."""
    follow_keeper()
    os.environ[KEEPER] = str(os.getpid())  # they end when this process is gone, as it ends when its keeper is
    folder, found = given[0], Launch()
    try:
        found = read_launch(Path(folder) / LAUNCH)
        if found.use_cpu or found.distributed_type.upper() == "MULTI_CPU":
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        torchrun.run(torchrun.parse_args(arguments(found, folder)))
    except ChildFailedError as error:
        for number, failure in sorted(error.failures.items()):
            sys.stderr.write(f"Process {number} of {found.num_processes} ended with {_how(failure.exitcode)}.\n")
        leader = error.failures.get(0)
        return _code(leader.exitcode) if leader else 1
    except UserError as error:
        sys.stderr.write(masked(f"{error}\n"))
        return 1
    return 0


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _code(code: int) -> int:
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
