"""Owns a training in several processes from the system's side: which of them this one is, and the launcher that starts those of a machine.

`python -m loralab.runs.process_group FOLDER` stands between a run's keeper and its workers; under torchrun or Slurm there is none. Who
starts them says who they are in the environment, in the words that torchrun and Accelerate share (RANK, WORLD_SIZE, LOCAL_RANK).
Invariants: process 0 alone writes into the run's folder; where one process is gone the others end, with words, and the run can be resumed
with as many as there are then.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import yaml
from pydantic import ConfigDict, Field, ValidationError

from loralab.core.errors import RunFailed, UserError
from loralab.core.masking import masked
from loralab.core.records import Record
from loralab.core.words import count
from loralab.runs.protocol import KEEPER, LAUNCH
from loralab.runs.worker_lock import follow_keeper

TODO = "Write it with `accelerate config`, or as docs/scale.md shows."
SHARDED = ("FSDP", "DEEPSPEED", "MEGATRON_LM", "TP", "XLA")
LOST = "process_lost"


class Launch(Record):
    """What is read of an Accelerate configuration file; the rest of it (mixed precision, say) is the plan's."""

    model_config = ConfigDict(extra="ignore")

    num_processes: int = Field(default=1, ge=1, le=4096)  # over all machines
    num_machines: int = Field(default=1, ge=1, le=1024)
    machine_rank: int = Field(default=0, ge=0)
    main_process_ip: str | None = None
    main_process_port: int | None = Field(default=None, ge=0, le=65535)
    distributed_type: str = "NO"
    use_cpu: bool = False
    rdzv_backend: Literal["static", "c10d"] = "static"


# ---- which of them this is -------------------------------------------------------------------------------------------------


def size() -> int:
    """How many processes learn together; 1 is the usual way."""
    return max(1, _number("WORLD_SIZE", 1))


def rank() -> int:
    """Which of them this one is; 0 leads."""
    return _number("RANK", 0) if size() > 1 else 0


def local_rank() -> int:
    """Which of those on this machine; it says which card is this one's."""
    return _number("LOCAL_RANK", 0) if size() > 1 else 0


def _number(name: str, usual: int) -> int:
    value = os.environ.get(name, "")
    return int(value) if value.isdigit() else usual


def lost(doing: str = "") -> RunFailed:
    """What to say where another process of the same run is gone."""
    while_ = f" while {doing}" if doing else ""
    what = f"One of the {size()} processes that learn together is gone{while_}: it was ended, its machine stopped, or the network broke."
    return RunFailed(what, "Resume: it goes on from the last safety copy, also with another number of processes.", code=LOST)


def tell(text: str) -> None:
    """A line for worker.log, which all processes of a machine write."""
    sys.stderr.write(masked(f"Process {rank()} of {size()}: {text}\n"))
    sys.stderr.flush()


def tell_traceback() -> None:
    """The exception in work, for worker.log."""
    tell(traceback.format_exc())


def mind_the_launcher() -> None:
    """Let a launcher's request to end (one of the others is gone) become words, once; after `deaf` it is passed over."""

    def ended(_signal: int, _frame: FrameType | None) -> None:
        deaf()
        raise lost()

    if size() > 1:
        signal.signal(signal.SIGTERM, ended)


def deaf() -> None:
    """From here on this process writes its last words: a launcher that hurries it is not listened to."""
    if size() > 1:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


# ---- the configuration -----------------------------------------------------------------------------------------------------


def read_launch(file: Path) -> Launch:
    """An Accelerate configuration file. Raises UserError, naming the field, for what is none or cannot be done."""
    if not file.is_file():
        raise UserError(f"There is no file {file}.", TODO, code="no_file")
    try:
        raw: Any = yaml.safe_load(file.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{file.name} cannot be read: {str(error).splitlines()[0]}.", TODO, code="bad_launch") from error
    if not isinstance(raw, dict):
        raise UserError(f"{file.name} is not a configuration of Accelerate.", TODO, code="bad_launch")
    try:
        found = Launch.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{file.name}: “{'.'.join(map(str, first['loc']))}”: {first['msg']}.", TODO, code="bad_launch") from error
    _possible(found, file.name)
    return found


def _possible(found: Launch, name: str) -> None:
    if found.distributed_type.upper() in SHARDED:
        what = f"{name} asks for {found.distributed_type}, which lays one model over several cards. LoRALab gives each process a whole one."
        todo = (
            "Set distributed_type to MULTI_GPU or MULTI_CPU; where the model is too large for a card, train it in 4 bits (precision nf4)."
        )
        raise UserError(what, todo, code="not_sharded")
    if found.num_processes % found.num_machines:
        what = f"{name}: {found.num_processes} processes cannot be spread evenly over {count(found.num_machines, 'machine')}."
        raise UserError(what, "Make num_processes a multiple of num_machines.", code="bad_launch")
    if found.num_machines > 1 and not (found.main_process_ip and found.main_process_port):
        what = f"{name} names several machines, but not where they meet."
        raise UserError(what, "Set main_process_ip and main_process_port to those of machine 0.", code="bad_launch")
    if found.machine_rank >= found.num_machines:
        what = f"{name}: there is no machine {found.machine_rank} among {found.num_machines}, counted from 0."
        raise UserError(what, "Set machine_rank to this machine's number.", code="bad_launch")


def arguments(found: Launch, folder: str) -> list[str]:
    """What torchrun is told: which processes to start on this machine, and where all of them meet."""
    each = str(found.num_processes // found.num_machines)
    if found.num_machines == 1:
        where = ["--standalone"]
    elif found.rdzv_backend == "c10d":
        where = [
            "--rdzv-backend=c10d",
            f"--rdzv-endpoint={found.main_process_ip}:{found.main_process_port}",
            f"--rdzv-id={Path(folder).name}",
        ]
    else:
        where = [f"--master-addr={found.main_process_ip}", f"--master-port={found.main_process_port}", f"--node-rank={found.machine_rank}"]
    machines = [f"--nnodes={found.num_machines}", f"--nproc-per-node={each}", "--max-restarts=0"]
    return [*machines, *where, "-m", "loralab.runs.worker", folder]


# ---- the launcher ----------------------------------------------------------------------------------------------------------


def main(given: list[str]) -> int:
    """Start the processes of this machine and wait for them; the exit code is that of process 0, where it says one."""
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

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
