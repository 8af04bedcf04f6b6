"""An engine's end of the conversation: it makes steps only while it is told to, so that several can take turns on one machine.

Opened in every engine's process, whatever is installed there: imports the standard library and torch. A line of JSON in, a line out. What
libraries print goes to stderr. Memory readings are Linux's (/proc); elsewhere the system's highest reading of the whole process counts.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

Named = Callable[[], dict[str, torch.Tensor]]
Answer = Callable[[dict[str, Any]], dict[str, Any]]


class Turns:
    """Steps told and answered.

    `gradients`: file for the gradient of the first update, by PEFT's names. `answers`: what else an engine can be asked, by name.
    """

    def __init__(self, gradients: str) -> None:
        self._out = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self._left, self._begun = 0, 0.0
        self._about: dict[str, Any] = {}
        self._seconds: list[float] = []
        self._losses: list[float] = []
        self._sizes: list[tuple[int, int]] = []
        self._gradients = gradients
        self._trained: Named = dict
        self.answers: dict[str, Answer] = {}
        register_optimizer_step_pre_hook(self._keep_gradients)

    def loaded(self, trained: Named, **about: Any) -> None:
        """The base with its adapter is in memory and no step is made: memory is counted from here. `trained`: its weights by name."""
        self._trained = trained
        self._about = {"loaded": resident("VmRSS"), "peak_opening": resident("VmHWM"), **about}
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", "ascii")  # the highest reading begins anew

    def ready(self) -> None:
        """Told that steps can be made; returns when one is wanted."""
        self._say(self._about | {"threads": torch.get_num_threads(), "kernels": torch.backends.cpu.get_cpu_capability()})
        self._wait()

    def loss(self, value: float) -> None:
        """Mean loss per learned token of the update under way; several micro-batches' shares add up."""
        if len(self._losses) == len(self._seconds):
            self._losses.append(0.0)
        self._losses[-1] += value

    def stepped(self, tokens: int, learned: int) -> None:
        """An update over so many real tokens is made. Waits where it was the turn's last. Raises SystemExit where no more are wanted."""
        now = time.perf_counter()
        self._seconds.append(now - self._begun)
        self._sizes.append((tokens, learned))
        self._begun, self._left = now, self._left - 1
        if not self._left:
            self._say({"seconds": self._seconds, "sizes": self._sizes, "losses": self._losses, "peak": resident("VmHWM")})
            self._seconds, self._losses, self._sizes = [], [], []
            self._wait()

    def _wait(self) -> None:
        for line in sys.stdin:
            asked = json.loads(line)
            match asked.pop("do"):
                case "step":
                    self._left, self._begun = asked["count"], time.perf_counter()
                    return
                case "rest":  # what is free goes back to the system: others need it
                    with contextlib.suppress(OSError, AttributeError):
                        ctypes.CDLL(None).malloc_trim(0)
                    self._say({"held": resident("VmRSS")})
                case name:
                    self._say(self.answers[name](asked))
        raise SystemExit

    def _say(self, answer: dict[str, Any]) -> None:
        self._out.write(json.dumps(answer) + "\n")
        self._out.flush()

    def _keep_gradients(self, *_: Any) -> None:
        found = {name.replace(".default.", "."): p.grad for name, p in self._trained().items() if p.grad is not None}
        if not self._gradients or not found:
            return
        from safetensors.torch import save_file

        save_file({name: grad.detach().float().clone() for name, grad in found.items()}, self._gradients)
        self._gradients = ""


def resident(field: str) -> int:
    """Bytes of main memory this process holds (VmRSS) or held at most (VmHWM)."""
    try:
        status = Path("/proc/self/status").read_text("ascii")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(f"{field}:"))
