"""Owns one run of LabFail: what it is made from, and how a worker really runs it, in a fork of this process, with a trouble in it or none.

Invariant: nothing of a run is left to chance but the times in its log; a setup and the code give its events.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.labfail.make import data
from benchmarks.labfail.make.bases import base
from loralab.core import events
from loralab.core.events import Event, RunView, fold
from loralab.core.jobs import TrainJob
from loralab.core.records import DatasetProfile, Example
from loralab.runs.crash import settle
from loralab.runs.death import Death
from loralab.tasks.text import TextPlan

PATIENCE_SECONDS = 120.0
ANSWERS, LONGEST = 3, 48  # written by base and adapter at the end: enough to see whether they end
MEASURES = frozenset({"loss", "question_fit", "forgetting", "hygiene", "label_accuracy"})  # of the verdict: those a diagnosis asks
GENERAL, FITS = 12, 16  # everyday tasks that forgetting is measured on; examples that the fit to the question is
ROWS, HELD_OUT = 240, 30  # of which so many are held out
USUAL: dict[str, Any] = {
    "rank": 8,
    "alpha": 16,
    "max_length": 128,
    "micro_batch": 8,
    "effective_batch": 8,
    "learning_rate": 2e-3,
    "epochs": 2.0,
}
STARTERS: dict[str, Any] = {"max_length": 96, "epochs": 1.5, "learning_rate": 1e-3}

Trouble = Callable[[], Any]  # makes a context in which the worker runs
Change = Callable[[Path], None]  # done to a copy of the base model's folder


@dataclass(frozen=True)
class Setup:
    """What a run is made from."""

    model: str
    data: str
    seed: int
    rows: tuple[dict[str, Any], ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    trouble: Trouble = nullcontext
    change: Change | None = None
    measures: tuple[str, ...] = ()  # of the verdict, where not those a worker takes
    injected: str = ""  # what was done to it, in words

    def but(self, injected: str, **changes: Any) -> Setup:
        """The same with something done to it; settings are added to those there are."""
        settings = {**self.settings, **changes.pop("settings", {})}
        return replace(self, settings=settings, injected=injected, **changes)


@dataclass(frozen=True)
class Ran:
    """What became of a setup."""

    plan: dict[str, Any]
    events: tuple[Event, ...]
    log: str
    profile: DatasetProfile | None
    root: Path  # the folder everything lies in
    report: dict[str, Any] = field(default_factory=dict)  # of its judging, example by example

    @property
    def view(self) -> RunView:
        return fold("labfail", self.events)


def usual(model: str, name: str, seed: int) -> Setup:
    """The healthy run of a cell: every cause is put into one of these, and compared with it."""
    rows = tuple(data.rows_of(name, ROWS, seed))
    settings = USUAL | (STARTERS if model == "starter" else {}) | {"seed": seed, "heldout_share": round(HELD_OUT / len(rows), 4)}
    return Setup(model, name, seed, rows, settings)


def run(setup: Setup, root: Path, name: str) -> Ran:
    """Train as a worker does; what it wrote."""
    folder, own = root / "work" / "runs" / name, root / "work" / "made" / name
    for path in (folder, own):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
    file = data.write(own / f"{setup.data}.jsonl", setup.rows)
    model = base(root, setup.model)
    if setup.change:
        model = changed(model, own / setup.model, setup.change)
    plan = TextPlan.model_validate({"dataset": str(file), "base_model": str(model), **setup.settings})
    job = TrainJob(run=name, plan=plan.model_dump(), model=str(model), measures=tuple(setup.measures))
    (folder / "job.json").write_text(job.model_dump_json())
    while True:
        offset, said = _size(folder / "events.jsonl"), _size(folder / "worker.log")
        code = _fork(folder, setup.trouble)
        if code >= 0 or not settle(str(folder), code, offset, said, SHORT):
            break
    told = tuple(events.read(folder / "events.jsonl")[0])
    ran = Ran(
        plan.model_dump(), told, (folder / "worker.log").read_text("utf-8", "replace"), _profile(file, model, plan), root, _report(folder)
    )
    shutil.rmtree(folder)
    return ran


def _report(folder: Path) -> dict[str, Any]:
    path = folder / "artifacts" / "evaluation.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def _profile(file: Path, model: Path, plan: TextPlan) -> DatasetProfile | None:
    from loralab.core.errors import LabError
    from loralab.datasets.profile import profile_dataset

    try:
        found = profile_dataset(file, model, roles=plan.roles or None, learn_from=plan.learn_from)
        return found.model_copy(update={"previews": ()})
    except LabError:
        return None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def changed(model: Path, folder: Path, change: Change) -> Path:
    """A copy of a base model with something done to it."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(model, folder)
    change(folder)
    return folder


SHORT = Death(free_bytes=1, total_bytes=100)  # what the keeper sees where the trouble is a kill for want of memory


def _fork(folder: Path, trouble: Trouble) -> int:
    """The worker's main in a child, its words in worker.log; its exit code, negative for a signal."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with (folder / "worker.log").open("ab") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
                code = _work(folder, trouble)
        finally:
            os._exit(code)
    limit = time.monotonic() + PATIENCE_SECONDS
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > limit:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)


def _work(folder: Path, trouble: Trouble) -> int:
    from loralab.evaluations.shared import answers, verdict
    from loralab.evaluations.text import forgetting, question_fit
    from loralab.runs import worker
    from loralab.sessions import text

    general = forgetting.general_set()[:GENERAL]

    every = verdict.evaluations()

    def few() -> tuple[Example, ...]:
        return general

    def quick() -> dict[str, Any]:
        return {name: measure for name, measure in every.items() if measure.name in MEASURES}

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(answers, "LONGEST", LONGEST))
        stack.enter_context(mock.patch.object(text, "MOST_ANSWERS", ANSWERS))
        stack.enter_context(mock.patch.object(forgetting, "general_set", few))
        stack.enter_context(mock.patch.object(question_fit, "MOST_ROWS", FITS))
        stack.enter_context(mock.patch.object(verdict, "evaluations", quick))
        stack.enter_context(trouble())
        return worker.main([str(folder)])


@contextmanager
def limited(share: float, size: int) -> Iterator[None]:
    """The training gets `share` of the memory that its `size` longest examples take over the model (RLIMIT_AS): the allocator refuses.

    What it takes is measured first, by one such step without a limit.
    """
    from loralab.train import loop

    prepare, finish = loop.prepare, loop.finish

    def bounded(session: Any, plan: Any, folder: Any) -> Any:
        run = prepare(session, plan, folder)
        before = _virtual("VmSize:")
        taken = _step(session, size)
        resource.setrlimit(resource.RLIMIT_AS, (before + int(share * taken), resource.RLIM_INFINITY))
        return run

    def unbounded(run: Any) -> Any:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        return finish(run)

    with mock.patch.object(loop, "prepare", bounded), mock.patch.object(loop, "finish", unbounded):
        yield


def _step(session: Any, size: int) -> int:
    """Bytes that the `size` longest examples take on their way forward and back, as the system counts them."""
    import torch

    most, before = [0], _virtual("VmSize:")
    handle = torch.autograd.graph.register_multi_grad_hook(
        [p for p in session.model.parameters() if p.requires_grad][-1:], lambda _: most.__setitem__(0, max(most[0], _virtual("VmSize:")))
    )
    longest = sorted(range(len(session.train_rows)), key=lambda row: -len(session.train_rows[row].ids))[:size]
    loss, _ = session.loss(session.batch(session.train_rows, longest, session.train_examples))
    most[0] = max(most[0], _virtual("VmSize:"))
    loss.backward()
    handle.remove()
    session.model.zero_grad(set_to_none=True)
    return most[0] - before


def _virtual(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def dumped(told: tuple[Event, ...], root: Path) -> list[dict[str, Any]]:
    """Events as plain dicts, with the places on this machine taken out of them."""
    text = json.dumps([json.loads(event.model_dump_json()) for event in told], ensure_ascii=False)
    return json.loads(text.replace(str(root), "labfail"))
