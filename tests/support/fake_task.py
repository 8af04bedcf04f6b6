"""Owns a kind of training without torch, so that the real worker process can be driven through every ending in seconds.

A worker knows it through LORALAB_PLUGINS="loralab.tasks:tests.support.fake_task". Its loop does what a real one must: counts, reports,
answers the stop file, writes safety copies and goes on from the newest.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from typing import Any, Literal

from loralab.core.events import Evaluated, Noted, Previewed, Saved, Stepped
from loralab.core.paths import write_atomic
from loralab.core.records import Artifact, Plan, Sample, Score, setting
from loralab.runs.run_folder import RunFolder
from loralab.tasks import Task


class FakePlan(Plan):
    """How long to pretend, and how and when to break."""

    task: Literal["fake"] = "fake"  # pyright: ignore[reportIncompatibleVariableOverride]
    engine: Literal["fake"] = setting("fake", "Runs the loop of this file.", group="saving", label="Engine")
    max_steps: int = setting(5, "Updates to do.", group="learning", label="Steps", ge=1)
    step_seconds: float = setting(0.01, "Seconds an update takes.", group="learning", label="Step time", ge=0)
    breaks: Literal["", "raise", "exit", "hang", "kill", "starve", "tear", "crash", "vanish", "swallow", "full"] = setting(
        "", "How to break.", group="learning", label="Breaks"
    )
    breaks_at: int = setting(3, "Update before which to break.", group="learning", label="Breaks at")
    breaks_above: int = setting(0, "Tokens at once above which to break.", group="learning", label="Breaks above", ge=0)
    saves_every: int = setting(0, "Updates between two safety copies.", group="saving", label="Saves every", ge=0)
    nan_at: int = setting(0, "Update whose loss is not a number.", group="learning", label="NaN at")


def train(plan: FakePlan, folder: RunFolder) -> dict[str, Any]:
    """Pretend to train: the loss of update n is 5/n, of the base 5."""
    step, begun = _newest(folder), time.monotonic()
    if step == 0:
        folder.emit(Evaluated(split="base", loss=5.0, n=8))
    while step < plan.max_steps:
        at_once = min(100, plan.token_budget or 100)
        if plan.breaks and step + 1 == plan.breaks_at and at_once > plan.breaks_above:
            _break(plan.breaks, folder)
        time.sleep(plan.step_seconds)
        step += 1
        loss = float("nan") if step == plan.nan_at else 5.0 / step
        folder.emit(
            Stepped(
                step=step,
                loss=loss,
                grad_norm=1.0,
                learning_rate=plan.learning_rate,
                tokens=at_once,
                tokens_per_second=1e4,
                memory_bytes=1_000_000 + step,
                epoch=step / plan.max_steps,
                total_steps=plan.max_steps,
                seconds_left=plan.step_seconds * (plan.max_steps - step),
            )
        )
        if plan.saves_every and step % plan.saves_every == 0:
            _checkpoint(folder, step)
        if folder.stop_asked:
            _checkpoint(folder, step)
            return _result(folder, step, begun) | {"outcome": "stopped", "what": "Stopped as you asked."}
    score = Score(name="loss", before=5.0, after=5.0 / step, n=8, difference=5.0 / step - 5.0, verdict="better", words="It got better.")
    folder.emit(Evaluated(step=step, split="final", loss=5.0 / step, n=8, scores=(score,)))
    folder.emit(Previewed(step=step, samples=(Sample(prompt="2+2?", before="fish", after="4"),)))
    return _result(folder, step, begun)


def _result(folder: RunFolder, step: int, begun: float) -> dict[str, Any]:
    adapter = folder.artifacts / "adapter"
    adapter.mkdir(exist_ok=True)
    write_atomic(adapter / "adapter.json", json.dumps({"step": step}))
    folder.emit(Saved(step=step, artifact=Artifact(kind="adapter", path=str(adapter), step=step)))
    return {
        "steps": step,
        "seconds": time.monotonic() - begun,
        "tokens_per_second": 1e4,
        "peak_memory_bytes": 1_000_000 + step,
        "adapter": str(adapter),
    }


def _checkpoint(folder: RunFolder, step: int) -> None:
    path = folder.checkpoints / f"step-{step}.pt"
    write_atomic(path, json.dumps({"step": step}))
    folder.emit(Saved(step=step, artifact=Artifact(kind="checkpoint", path=str(path), step=step)))


def _newest(folder: RunFolder) -> int:
    return max((json.loads(p.read_text())["step"] for p in folder.checkpoints.glob("step-*.pt")), default=0)


def _break(how: str, folder: RunFolder) -> None:
    match how:
        case "raise":
            raise ValueError("the fake task was told to raise")
        case "exit":
            sys.exit(3)
        case "hang":
            time.sleep(600)
        case "kill" | "starve":
            print("RuntimeError: cannot allocate memory" if how == "starve" else "", file=sys.stderr, flush=True)
            os.kill(os.getpid(), 9)  # SIGKILL; on Windows the same number ends it as hard
        case "full":  # somebody else takes all the room there is, the reserve's as well
            folder.reserve.give()
            with (folder.path / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
                while ballast.write(bytes(4096)):
                    pass
            while folder.emit(Noted(text="the log's last page has room for some lines")):
                pass
            raise ValueError("the disk is full")
        case "crash":  # as native code does
            os.kill(os.getpid(), signal.SIGSEGV)
        case "vanish":  # ends as if all were well, and says nothing
            os._exit(0)
        case "swallow":  # takes memory until the system says no; 640 MB are enough to know that it does not
            held = [os.urandom(1 << 23) for _ in range(80)]
            raise AssertionError(f"took {len(held)} pieces")
        case "tear":  # dies in the middle of writing a line
            with (folder.path / "events.jsonl").open("ab") as log:
                log.write(b'{"type":"stepped","step":99,"lo')
            print("RuntimeError: cannot allocate memory", file=sys.stderr, flush=True)
            os.kill(os.getpid(), 9)  # SIGKILL; on Windows the same number ends it as hard


TASK = Task(kind="fake", plan=FakePlan, session=f"{__name__}:NoSession", engines={"fake": f"{__name__}:train"})  # there is no session
