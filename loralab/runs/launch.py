"""Owns how several processes that learn together are started: an Accelerate configuration, checked, and what torchrun is told.

Invariant: what cannot be done is said before anything is started.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ConfigDict, Field, ValidationError

from loralab.core.errors import UserError
from loralab.core.records import Record
from loralab.core.words import count

TODO = "Write it with “accelerate config”, or as docs/cluster.md shows."
SHARDED = ("FSDP", "DEEPSPEED", "MEGATRON_LM", "TP", "XLA")


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
