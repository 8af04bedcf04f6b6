"""How fast this machine multiplies at a model's shapes, in a process of its own so that nobody's memory is touched.

    python -m benchmarks.training.rate SHAPES

SHAPES: {"layers": [[out, in, times], ...], "head": [out, in], "tokens": 1500, "learned": 900, "kind": "float32"}. Prints the seconds
that the useful products of one update take at best: forward and the gradient of the input of every frozen linear layer (4N operations a
token) and of the head at the learned positions. The skinny products of the adapter and attention are left out: they are overhead.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

from loralab.core.child import ENVIRONMENT

TRIES = 4  # of a product; the best counts
TILES = (512, 2048)  # rows of a product at most; the better counts


def best_seconds(shapes: dict[str, Any]) -> float:
    """The same, asked of a child process. Seconds."""
    command = [sys.executable, "-m", "benchmarks.training.rate", json.dumps(shapes)]
    return float(subprocess.run(command, env=os.environ | ENVIRONMENT, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    """Measure and print."""
    import torch

    asked = json.loads(sys.argv[1])
    kind = getattr(torch, asked["kind"])
    with torch.no_grad():
        layers = sum(times * _seconds(out, into, asked["tokens"], kind) for out, into, times in asked["layers"])
        sys.stdout.write(f"{layers + _seconds(asked['head'][0], asked['head'][1], asked['learned'], kind)}\n")


def _seconds(out: int, into: int, rows: int, kind: Any) -> float:
    """Both products of one layer over `rows`."""
    import torch

    weight, found = torch.randn(out, into).to(kind), list[float]()
    for tile in {min(rows, most) for most in TILES}:
        x, made, back = torch.randn(tile, into).to(kind), torch.empty(tile, out, dtype=kind), torch.empty(tile, into, dtype=kind)
        for _ in range(TRIES):
            begun = time.perf_counter()
            torch.mm(x, weight.t(), out=made)
            torch.mm(made, weight, out=back)
            found.append((time.perf_counter() - begun) * rows / tile)
    return min(found)


if __name__ == "__main__":
    main()
