"""Owns the speed probe: how many operations a second matrix products reach here, in fp32 and bf16. `python -m loralab.train.matmul`

Invariants: about a tenth of a second of computing and a few megabytes; no random number is drawn from the generators a training uses,
and nothing stays behind; a precision that cannot be measured is left unknown.
"""

from __future__ import annotations

import contextlib
import sys
import time

import torch

from loralab.machine.speed import Speed

SECONDS = 0.05  # of computing for each precision, about
SMALLEST, LARGEST, LARGEST_ON_CARD = 256, 1024, 4096  # rows and columns
TRIES = 3  # the best counts: another program may have had the processor meanwhile
COUNTS_WORK = sys.platform != "win32"  # whose clock of a process's own work goes in steps of 16 ms


def probe() -> Speed:
    """Teraflops in fp32 and bf16 on the device that training takes."""
    device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    found: dict[str, float] = {}
    for name, kind in (("fp32_tflops", torch.float32), ("bf16_tflops", torch.bfloat16)):
        with contextlib.suppress(RuntimeError):  # no memory left on the card, or a chip without this precision
            found[name] = _rate(device, kind)
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    return Speed.model_validate({**found, "device": device})


@torch.no_grad()
def _rate(device: str, kind: torch.dtype) -> float:
    """Teraflops of a square product. It grows until one takes an eighth of the time there is, so a slow chip is not kept waiting."""
    side, largest = SMALLEST, LARGEST if device == "cpu" else LARGEST_ON_CARD
    while True:
        left = torch.linspace(-1, 1, side * side, device=device).view(side, side).to(kind)
        out = torch.empty_like(left)
        _seconds(left, out, device)  # the first one also sets things up
        best = min(_seconds(left, out, device) for _ in range(TRIES))
        if 8 * best > SECONDS / 2 or side >= largest:
            return 2 * side**3 / best / 1e12
        side *= 2


def _seconds(left: torch.Tensor, out: torch.Tensor, device: str) -> float:
    begun, spent = time.perf_counter(), time.process_time()
    torch.mm(left, left, out=out)
    if device == "cuda":
        torch.cuda.synchronize()
    elif device == "mps":
        torch.mps.synchronize()
    wall = time.perf_counter() - begun
    if device == "cpu" and COUNTS_WORK:  # what it would have taken with every core to itself
        wall = min(wall, (time.process_time() - spent) / torch.get_num_threads())
    return max(wall, 1e-6)


if __name__ == "__main__":
    sys.stdout.write(probe().model_dump_json() + "\n")
