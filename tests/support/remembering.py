"""Owns runs written as a worker would have left them, for the tests of the memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from loralab.core.events import Adjusted, Ended, Evaluated, Event, EventLog, Incident, Measured, Outcome, Started, Stepped
from loralab.core.facts import Facts
from loralab.core.jobs import TrainJob
from loralab.tasks.text import TextPlan

FACTS = Facts(
    data="d1",
    n_train=100,
    tokens={"p50": 20, "p95": 60, "max": 90},
    architecture="llama",
    hidden=64,
    layers=2,
    vocabulary=500,
    parameters=130_000,
    trainable=4_000,
    device="cpu",
    place="some chip | torch 2",
    room=10**9,
)


def writer(home: Path) -> Callable[..., str]:
    """Writes a text run that has ended, as a worker would have: `write("a", learning_rate=1e-3)` -> its id."""

    def made(run: str, *more: Event, outcome: Outcome = "finished", code: str = "", facts: Facts = FACTS, loss: float = 1.5, **settings):
        folder = home / "runs" / run
        folder.mkdir(parents=True)
        plan = TextPlan(base_model="Qwen/Qwen3-0.6B", dataset="/Users/anna/secret/mail.csv", title=f"Run {run}").model_copy(update=settings)
        folder.joinpath("job.json").write_text(TrainJob(run=run, plan=plan.model_dump()).model_dump_json())
        log, at = EventLog(folder / "events.jsonl"), 1000.0 + len(list((home / "runs").iterdir()))
        log(Started(time=at, pid=1, versions={"torch": "2.13"}))
        log(Measured(time=at, text="100 examples", facts=facts))
        log(Evaluated(time=at, split="base", loss=3.0, n=10))
        for event in more:
            log(event)
        step = {"grad_norm": 1.0, "learning_rate": 1e-4, "tokens": 50, "tokens_per_second": 100.0, "memory_bytes": 7_000, "epoch": 1.0}
        log(Stepped(time=at + 0.5, step=9, loss=2.0, **step))
        log(Evaluated(time=at + 0.6, step=9, loss=loss, n=10, best=True))
        log(Ended(time=at + 0.7, step=9, outcome=outcome, code=code, what="", result={"seconds": 12.0, "peak_memory_bytes": 9_000}))
        return run

    return made


def oom(at: float = 1001.1, step: int = 3) -> Incident:
    return Incident(time=at, step=step, code="out_of_memory", text="4 examples did not fit.", data={"tokens": 360, "rows": [1, 2, 3, 4]})


def shrunk(at: float = 1001.2) -> Adjusted:
    return Adjusted(time=at, step=3, setting="token_budget", before=0, after=180, reason="memory ran out.")
