"""Owns the surroundings of every child process of ours. Standard library only."""

from __future__ import annotations

# Passive waiting: two busy threads spinning for each other make training up to eight times slower on a busy machine.
ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "0",
    # oneDNN keeps a compiled kernel for every shape it met: in bf16 on a processor 200 MB after 45 updates, with 256 of them 75 MB
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "256",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONUNBUFFERED": "1",
    "PYTHONUTF8": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
