"""Owns what every session on pictures has in common: how they are divided, in what order they come, how many go at once, what is kept.

Invariant: the order follows from seed and epoch alone; how many go at once changes nothing but memory; an adapter's folder is whole or
absent.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from loralab.core.digest import digest
from loralab.core.errors import UserError
from loralab.core.events import Noted
from loralab.core.records import Artifact, Example, Plan
from loralab.datasets.images.door import load_pictures, parts
from loralab.runs.run_folder import RunFolder
from loralab.tasks.pictured import PicturedPlan
from loralab.train.finite import refuse_broken
from loralab.train.loop import artifact_of
from loralab.train.session import Batch


class PicturedSession:
    """Most of loralab.train.session.Session; a kind of training gives `_batch`, `loss`, `area` and what it writes beside an adapter."""

    unit = "pixels"
    safe_rate = 1e-2
    model: Any
    plan: Any

    def __init__(self, plan: PicturedPlan, folder: RunFolder) -> None:
        self.plan, self.folder = plan, folder
        folder.emit(Noted(text="", phase="looking at the pictures"))
        self.pictures = load_pictures(Path(plan.dataset), folder.path.parents[1], plan.roles or None)
        if self.pictures.task != plan.task:
            what = "These pictures are for another kind of training than the plan says."
            raise UserError(what, "Choose the pictures again.", code="other_task")
        divided = parts(self.pictures, plan.heldout_share, plan.seed)
        self.train_examples: Sequence[Example] = divided.learn
        self.watched: Sequence[Example] = divided.watch
        self.heldout_examples: Sequence[Example] = divided.heldout

    @property
    def area(self) -> int:
        """Pixels of a picture as it is looked at."""
        raise NotImplementedError

    # ---- batches ---------------------------------------------------------------------------------------------------------
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.train_examples) / self.plan.effective_batch)

    def steps(self, epoch: int, start: int = 0) -> Iterator[Sequence[Batch]]:
        order, size = np.random.default_rng([self.plan.seed, epoch]).permutation(len(self.train_examples)), self.plan.effective_batch
        for step in range(start, self.steps_per_epoch()):
            chosen = [self.train_examples[i] for i in order[step * size : (step + 1) * size]]
            yield [self._batch(part, epoch) for part in self._pieces(chosen)]

    def starting_point(self) -> str:
        return ""  # what is seen before the first update lies in the run's own folder

    def heldout(self) -> Iterator[Batch]:
        for part in self._pieces(self.watched):
            yield self._batch(part, None)

    def leave_out(self, heldout_rows: Collection[int]) -> None:
        self.watched = [example for example in self.watched if example.row not in heldout_rows]
        self.heldout_examples = [example for example in self.heldout_examples if example.row not in heldout_rows]

    def split(self, batch: Batch) -> tuple[Batch, Batch] | None:
        half = len(batch.rows) // 2
        return (part_of(batch, slice(0, half)), part_of(batch, slice(half, None))) if half else None

    def _pieces(self, chosen: Sequence[Example]) -> Iterator[Sequence[Example]]:
        """In order, as many at once as the plan allows."""
        for i in range(0, len(chosen), self._at_once):
            yield chosen[i : i + self._at_once]

    @property
    def _at_once(self) -> int:
        """Pictures computed at once under the plan as it is."""
        return int(max(1, min(self.plan.micro_batch, (self.plan.token_budget or math.inf) // self.area)))

    def _batch(self, part: Sequence[Example], epoch: int | None) -> Batch:
        """Pictures as they are shown in an epoch; None: as they are looked at again and again."""
        raise NotImplementedError

    # ---- what a batch costs ----------------------------------------------------------------------------------------------
    @property
    def cost_limit(self) -> int:
        return self.plan.token_budget

    def limit_cost(self, cost: int) -> dict[str, Any]:
        return {"token_budget": cost}

    def worst_batch(self, cost: int = 0) -> Batch | None:
        """All are as large as each other."""
        n = min(self.plan.effective_batch, len(self.train_examples))
        part = next(iter(self._pieces(self.train_examples[:n])))
        return self._batch(part[: max(1, cost // self.area)] if cost else part, 0)

    # ---- learning --------------------------------------------------------------------------------------------------------
    def reconfigure(self, plan: Plan) -> None:
        self.plan = type(self.plan).model_validate(plan.model_dump())

    def _trained(self) -> dict[str, Tensor]:
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    def state(self) -> dict[str, Tensor]:
        return self._trained()

    @torch.no_grad()
    def load_state(self, state: dict[str, Tensor]) -> None:
        for name, parameter in self._trained().items():
            parameter.copy_(state[name])

    # ---- saving ----------------------------------------------------------------------------------------------------------
    def save(self, folder: Path) -> Artifact:
        refuse_broken(self._trained(), "adapter")
        building, old = folder.with_name(folder.name + ".writing"), folder.with_name(folder.name + ".old")
        self.model.save_pretrained(str(building), safe_serialization=True)
        self._write_card(building)
        if folder.exists():
            folder.rename(old)
        building.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
        self._check_saved(folder)
        return artifact_of(folder, "adapter", 0, digest(folder / "adapter_model.safetensors"))

    def _write_card(self, folder: Path, chosen: dict[str, Any] | None = None) -> None:
        """Beside the weights: what they alone do not say. `chosen`: what the verdict found."""
        raise NotImplementedError

    def _check_saved(self, folder: Path) -> None:
        """Look whether what was saved is what was trained, where a kind of training does."""


def part_of(batch: Batch, which: slice) -> Batch:
    """Some rows of a batch."""
    costs = batch.costs[which]
    return Batch({name: value[which] for name, value in batch.tensors.items()}, sum(costs), len(costs), batch.rows[which], costs)
