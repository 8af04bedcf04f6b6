"""Owns work on a Ray cluster: one task a run, each the same keeper and worker as here, in the same run folder.

All computers see the workspace and the checkout under the same path, as a laboratory's shared disk gives them. Invariants: a run whose
computer is lost is begun again on another and goes on from its last safety copy; what ends badly by itself is told and not begun again;
leaving the terminal asks every run to save and stop.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loralab.core.child import ENVIRONMENT
from loralab.core.errors import UserError
from loralab.core.parts import unavailable
from loralab.core.paths import CHECKOUT
from loralab.core.words import count
from loralab.runs import runs, supervisor

RETRIES = 5  # computers that may be lost under one run
LOOK_S = 1.0  # between two looks how far it is
START = "Start one with `ray start --head` on one computer and `ray start --address=...` on the others, or leave the address out."


@dataclass(frozen=True)
class Spread:
    """How many of the runs have ended, on how many computers."""

    done: int
    total: int
    computers: int

    @property
    def words(self) -> str:
        """For a person."""
        return f"{self.done} of {count(self.total, 'run')} done on {count(self.computers, 'computer')}."


@dataclass(frozen=True)
class Share:
    """What of a computer one run takes; cards may be shared (0.5)."""

    cpus: float = 1.0
    gpus: float = 0.0


def spread(
    home: Path, names: Sequence[str], address: str = "", share: Share | None = None, note: Callable[[Spread], object] = lambda at: None
) -> tuple[str, ...]:
    """Do prepared runs of a workspace on the cluster at `address` (empty: one on this computer); returns those that did not finish.

    Raises UserError where there is no cluster, Unavailable without Ray.
    """
    ray, share = _open(home, address), share or Share()
    for name in names:
        (runs.folder(home, name) / "stop").unlink(missing_ok=True)
    try:
        there = ray.cluster_resources()
        if share.cpus > there.get("CPU", 0) or share.gpus > there.get("GPU", 0):
            what = f"No computer of this cluster has {count(share.cpus, 'processor')} and {count(share.gpus, 'card')} for one run."
            raise UserError(what, "Ask for less, or add a computer.", code="no_such_computer")
        task = ray.remote(_keep).options(num_cpus=share.cpus, num_gpus=share.gpus, max_retries=RETRIES)
        waiting = {task.remote(str(runs.folder(home, name)), max(1, int(share.cpus))): name for name in names}
        _follow(ray, home, waiting, len(names), note)
    finally:
        ray.shutdown()
    return tuple(name for name in names if runs.view(home, name).state != "finished")


def _open(home: Path, address: str) -> Any:
    if importlib.util.find_spec("ray") is None:
        raise unavailable("ray", "Spreading runs over computers needs a part that is not installed here.")
    ray = importlib.import_module("ray")
    variables = {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join([str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])])}
    variables |= {name: value for name, value in os.environ.items() if name.startswith("LORALAB_")}
    variables |= {"LORALAB_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    try:
        ray.init(
            address=address or None,
            runtime_env={"env_vars": variables, "py_executable": sys.executable},
            log_to_driver=False,
            logging_level="ERROR",
            include_dashboard=False if not address else None,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(f"There is no Ray cluster at {address}.", START, code="no_cluster") from error
    return ray


def _keep(folder: str, cores: int) -> int:
    """One run, on whichever computer this is: its keeper and worker. Runs in a process of Ray's, which dies with its computer."""
    os.environ["OMP_NUM_THREADS"] = str(cores)
    return supervisor.keep(folder)


def _follow(ray: Any, home: Path, waiting: dict[Any, str], total: int, note: Callable[[Spread], object]) -> None:
    told: Spread | None = None
    try:
        while waiting:
            ready, _ = ray.wait(list(waiting), timeout=LOOK_S)
            for task in ready:
                waiting.pop(task)
            alive = sum(1 for node in ray.nodes() if node["Alive"])
            if (at := Spread(total - len(waiting), total, alive)) != told:
                told = at
                note(at)
    except KeyboardInterrupt:
        for name in waiting.values():
            (runs.folder(home, name) / "stop").touch()
        ray.wait(list(waiting), num_returns=len(waiting), timeout=60)
        raise
