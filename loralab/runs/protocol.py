"""Owns what app, supervisor and worker must agree on. Invariant: standard library only, for a supervisor imports nothing else."""

from __future__ import annotations

KEEPER = "LORALAB_KEEPER"  # tells a worker the process id of its keeper
LOCK = "worker.lock"  # held by a run's worker for life
TAKEN = 75  # exit code of a worker that found another one at work (sysexits.h: try again later)
UNWRITTEN = 74  # exit code of a worker whose last line the disk did not take (sysexits.h: input/output error)
MEMBER = ("RANK", "WORLD_SIZE", "LOCAL_RANK")  # of a launcher's environment: which of several processes this is
LAUNCH = "launch.yaml"  # in a run's folder where several processes learn together: how they are started
