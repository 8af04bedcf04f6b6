"""Owns troubles that are put into a real training to see what the guard does about them, and what became of it."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from safetensors.torch import load_file, save_file

from benchmarks.labfail.make.texts import TEXTS
from loralab.core.errors import LabError
from loralab.core.events import Adjusted, Evaluated, Incident, Stepped
from loralab.core.paths import STARTER
from loralab.evaluations.shared import answers
from loralab.runs.run_folder import RunFolder
from loralab.sessions import job, text
from loralab.sessions.text import TextSession
from loralab.train import loop
from tests.support import models

ROW = 17  # of the file: the one that is made bad


@dataclass
class Outcome:
    """What became of a training."""

    folder: RunFolder
    result: dict[str, Any] = field(default_factory=dict)
    error: LabError | None = None

    @property
    def incidents(self) -> list[Incident]:
        return models.told(self.folder, Incident)

    @property
    def codes(self) -> list[str]:
        return [incident.code for incident in self.incidents]

    @property
    def changed(self) -> dict[str, Any]:
        return {event.setting: event.after for event in models.told(self.folder, Adjusted)}

    @property
    def base(self) -> float:
        """Held-out loss before training."""
        return next((look.loss for look in models.told(self.folder, Evaluated) if look.split == "base"), math.nan)

    @property
    def best(self) -> float:
        """Held-out loss of what is kept."""
        return min((look.loss for look in models.told(self.folder, Evaluated) if look.split == "heldout"), default=math.inf)

    @property
    def ended(self) -> str:
        """Code of the diagnosis, where there is one."""
        return self.error.problem.code if self.error else str(self.result.get("code", ""))

    @property
    def delay(self) -> int | None:
        """Updates between the first sign of trouble and the first thing done about it; None where nothing was."""
        level = self.base + max(0.5 * self.base, 0.5)
        signs = [s.step for s in models.told(self.folder, Stepped) if not math.isfinite(s.loss + s.grad_norm) or s.loss > level]
        done = [event.step for event in self.incidents] or ([] if self.error is None else [0])
        return max(0, done[0] - signs[0]) if signs and done else (0 if done or self.ended else None)

    @property
    def finite(self) -> bool:
        """Whether the adapter on disk, where there is one, holds nothing but numbers."""
        path = Path(str(self.result.get("adapter", ""))) / "adapter_model.safetensors"
        return not path.is_file() or all(bool(tensor.isfinite().all()) for tensor in load_file(path).values())


def train(path: Path, base: Path, data: Path, **settings: Any) -> Outcome:
    """One training in this process, through the loop a worker runs; the answers at its end are kept short."""
    chosen = models.plan(data, **settings)
    outcome = Outcome(models.run_folder(path, chosen, base))
    with mock.patch.object(answers, "LONGEST", 4), mock.patch.object(text, "MOST_ANSWERS", 2):
        try:
            outcome.result = job.run(outcome.folder)
        except LabError as error:
            outcome.error = error
    return outcome


# ---- what goes wrong ---------------------------------------------------------------------------------------------------------


@contextmanager
def loss_changed(change: Callable[[Any, torch.Tensor], torch.Tensor]) -> Iterator[None]:
    """Every loss goes through `change(batch, loss)`."""
    healthy = TextSession.loss

    def loss(self: TextSession, batch: Any) -> tuple[torch.Tensor, int]:
        value, count = healthy(self, batch)
        return change(batch, value), count

    with mock.patch.object(TextSession, "loss", loss):
        yield


def nan_row(row: int = ROW) -> Any:
    """One example whose loss is never a number, as a division by zero in it makes it."""
    return loss_changed(lambda batch, loss: loss * math.nan if row in batch.rows else loss)


def nan_once(*passes: int) -> Any:
    """The `passes`-th forward passes of training give no number, and their examples are fine when tried again."""
    seen = {"n": 0}

    def change(_: Any, loss: torch.Tensor) -> torch.Tensor:
        seen["n"] += torch.is_grad_enabled()
        return loss * math.nan if torch.is_grad_enabled() and seen["n"] in passes else loss

    return loss_changed(change)


def uphill() -> Any:
    """Every correction goes the wrong way: no setting helps."""
    return loss_changed(lambda _, loss: 2 * loss.detach() - loss if torch.is_grad_enabled() else loss)


@contextmanager
def masked_row(row: int = ROW) -> Iterator[None]:
    """One example of which nothing is learned, past the encoder that would have left it out."""
    healthy = TextSession.batch

    def batch(self: TextSession, rows: Any, chosen: Any, examples: Any) -> Any:
        made = healthy(self, rows, chosen, examples)
        if row in made.rows:
            made.tensors["learned"][made.rows.index(row)] = False
            made.n_targets = int(made.tensors["learned"].sum())
        return made

    with mock.patch.object(TextSession, "batch", batch):
        yield


@contextmanager
def before_update(number: int, act: Callable[[Any], None]) -> Iterator[None]:
    """`act(run)` once, just before update `number` is computed."""
    healthy, done = loop._update, list[bool]()

    def update(run: Any, micro_batches: Any) -> bool:
        if run.progress.step == number - 1 and not done:
            done.append(True)
            with torch.no_grad():
                act(run)
        return healthy(run, micro_batches)

    with mock.patch.object(loop, "_update", update):
        yield


def break_adapter(run: Any) -> None:
    """A number in the adapter is lost, as a memory fault or a wild optimiser does it."""
    next(iter(run.session.state().values())).view(-1)[0] = math.nan


def break_base(run: Any) -> None:
    """The same in the frozen model."""
    next(p for p in run.session.model.parameters() if not p.requires_grad)[:] = math.inf


@contextmanager
def kills_when_large(number: int, most: int) -> Iterator[None]:
    """The process is ended as by a system without memory, from update `number` on, at a micro-batch of over `most` padded tokens."""
    update, loss, full = loop._update, TextSession.loss, [False]

    def counted(run: Any, micro_batches: Any) -> bool:
        full[0] = run.progress.step >= number - 1
        return update(run, micro_batches)

    def bounded(self: Any, chosen: Any) -> Any:
        if full[0] and torch.is_grad_enabled() and chosen.tensors["ids"].numel() > most:
            os.kill(os.getpid(), signal.SIGKILL)
        return loss(self, chosen)

    with mock.patch.object(loop, "_update", counted), mock.patch.object(TextSession, "loss", bounded):
        yield


@contextmanager
def broken_kernel() -> Iterator[None]:
    """The fast attention kernel gives no numbers; plain arithmetic does."""
    healthy = torch.nn.functional.scaled_dot_product_attention

    def attention(*args: Any, **settings: Any) -> torch.Tensor:
        return healthy(*args, **settings) * math.nan

    with mock.patch.object(torch.nn.functional, "scaled_dot_product_attention", attention):
        yield


def damaged_folder(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    """A tiny model on disk whose weights went through `change`."""
    models.model_folder(folder)
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def one_nan(weights: dict[str, torch.Tensor]) -> None:
    """A damaged file: one number of one layer."""
    weights["model.layers.1.mlp.up_proj.weight"].view(-1)[5] = math.nan


def loud(weights: dict[str, torch.Tensor]) -> None:
    """A sound model whose inner numbers go beyond 65,504, as those of several families do in fp16."""
    for part in ("gate_proj", "up_proj"):
        weights[f"model.layers.1.mlp.{part}.weight"].mul_(1e4)
    weights["model.layers.1.mlp.down_proj.weight"].mul_(1e-6)


# ---- which -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One training with a trouble in it, and what is to come of it."""

    name: str
    incidents: set[str]  # codes that are told, and no others
    trouble: Callable[[], Any] = nullcontext
    base: str = "tiny"  # tiny | starter | damaged | loud
    settings: dict[str, Any] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)  # settings
    ends: str = ""  # code, where the run ends because of it


STARTER_RUN: dict[str, Any] = {"max_length": 48, "rank": 16, "alpha": 32, "learning_rate": 2e-3, "eval_every": 6, "max_steps": 24}
ONE_AT_A_TIME: dict[str, Any] = {"effective_batch": 1, "micro_batch": 1}
CASES = (
    Case("learning rate x100 (0.2)", {"diverged"}, base="starter", settings={"learning_rate": 0.2}, changed={"learning_rate"}),
    Case(
        "learning rate x100, one example at a time",
        {"diverged"},
        base="starter",
        settings={"learning_rate": 0.2, **ONE_AT_A_TIME},
        changed={"learning_rate"},
    ),
    Case(
        "every correction the wrong way",
        {"diverged"},
        uphill,
        base="starter",
        settings={"learning_rate": 2e-2, "max_steps": 200, "schedule": "constant", "eval_every": 20},
        changed={"learning_rate", "warmup"},
        ends="diverged",
    ),
    Case("a row that gives NaN", {"non_finite", "bad_row"}, nan_row),
    Case("a row that gives NaN, one example at a time", {"non_finite", "bad_row"}, nan_row, settings={**ONE_AT_A_TIME, "max_steps": 60}),
    Case("an all-masked row", set(), masked_row),
    Case("an all-masked row, one example at a time", {"nothing_to_learn"}, masked_row, settings={**ONE_AT_A_TIME, "max_steps": 60}),
    Case("fp16 overflow", {"non_finite"}, base="loud", settings={"precision": "fp16"}, changed={"precision"}),
    Case("a NaN in the base model's file", set(), base="damaged", ends="corrupt_weights"),
    Case("a NaN in the base model, mid-run", set(), partial(before_update, 8, break_base), ends="corrupt_weights"),
    Case("a NaN in the adapter, mid-run", {"non_finite"}, partial(before_update, 12, break_adapter)),
    Case("the fast attention kernel gives NaN", {"non_finite"}, broken_kernel, changed={"attention"}),
    Case("one NaN that does not come back", {"non_finite"}, partial(nan_once, 9)),
    Case("three NaN that do not come back", {"non_finite"}, partial(nan_once, 9, 29, 49), changed={"learning_rate"}),
)


def folders(path: Path) -> dict[str, Path]:
    """The models and files the cases name."""
    data, tiny = models.uneven_file(path / "uneven.jsonl"), models.model_folder(path / "tiny")
    damaged, noisy = damaged_folder(path / "damaged", one_nan), damaged_folder(path / "loud", loud)
    return {"tiny": tiny, "damaged": damaged, "loud": noisy, "starter": STARTER, "uneven": data, "poems": TEXTS / "poet.jsonl"}


def suffer(case: Case, path: Path, where: dict[str, Path]) -> Outcome:
    """Train with the trouble in."""
    starter = case.base == "starter"
    settings = {**(STARTER_RUN if starter else {"max_steps": 24, "eval_every": 6}), **case.settings}
    with case.trouble():
        return train(path, where[case.base], where["poems" if starter else "uneven"], **settings)
