"""The session: pictures -> batches -> the loss of a tiny classifier, all of whose weights learn."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from loralab.core.digest import digest
from loralab.core.events import Noted
from loralab.core.judgement import Judgement, Note
from loralab.core.records import Artifact, Example, Plan, Sample, Score
from loralab.datasets.dataset import split
from loralab.runs.run_folder import RunFolder
from loralab.train.loop import artifact_of
from loralab.train.optim import Optimizers, adamw
from loralab.train.session import Batch
from tests.support.fake_pictures import pictures
from tests.support.fake_pictures.task import PicturePlan

AREA = pictures.SIDE**2


class PictureSession:
    """See loralab.train.session.Session."""

    unit = "pixels"
    safe_rate = math.inf

    def __init__(self, plan: PicturePlan, folder: RunFolder) -> None:
        self.plan = plan
        folder.emit(Noted(text="", phase="looking at the pictures"))
        found = pictures.examples(Path(plan.dataset))
        self.classes = sorted({str(example.label) for example in found})
        self.train_examples, self.heldout_examples = split(found, plan.heldout_share, plan.seed)
        torch.manual_seed(plan.seed)
        flat = plan.filters * AREA
        self.model: Any = nn.Sequential(
            nn.Conv2d(3, plan.filters, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(flat, len(self.classes))
        )
        self.guessed = self._guess(self.heldout_examples)  # before it has learned anything

    # ---- batches
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.train_examples) / self.plan.effective_batch)

    def steps(self, epoch: int, start: int = 0) -> Iterator[Sequence[Batch]]:
        order, size = np.random.default_rng([self.plan.seed, epoch]).permutation(len(self.train_examples)), self.plan.effective_batch
        for step in range(start, self.steps_per_epoch()):
            yield list(self._batches([self.train_examples[i] for i in order[step * size : (step + 1) * size]]))

    def starting_point(self) -> str:
        return ""

    def heldout(self) -> Iterator[Batch]:
        yield from self._batches(self.heldout_examples)

    def leave_out(self, heldout_rows: Collection[int]) -> None:
        self.heldout_examples = tuple(example for example in self.heldout_examples if example.row not in heldout_rows)

    def split(self, batch: Batch) -> tuple[Batch, Batch] | None:
        half = len(batch.rows) // 2
        return (self._part(batch, slice(0, half)), self._part(batch, slice(half, None))) if half else None

    def _batches(self, chosen: Sequence[Example]) -> Iterator[Batch]:
        at_once = max(1, min(self.plan.micro_batch, (self.plan.token_budget or math.inf) // AREA))
        for i in range(0, len(chosen), int(at_once)):
            part = chosen[i : i + int(at_once)]
            targets = torch.tensor([self.classes.index(str(example.label)) for example in part])
            tensors = {"pictures": self._pictures(part), "targets": targets}
            yield Batch(tensors, AREA * len(part), len(part), tuple(example.row for example in part), (AREA,) * len(part))

    def _part(self, batch: Batch, which: slice) -> Batch:
        costs = batch.costs[which]
        return Batch({name: tensor[which] for name, tensor in batch.tensors.items()}, sum(costs), len(costs), batch.rows[which], costs)

    def _pictures(self, chosen: Sequence[Example]) -> Tensor:
        return torch.from_numpy(np.stack([pictures.pixels(Path(self.plan.dataset) / example.media[0]) for example in chosen]))

    # ---- what a batch costs
    @property
    def cost_limit(self) -> int:
        return self.plan.token_budget

    def limit_cost(self, cost: int) -> dict[str, Any]:
        return {"token_budget": cost}

    def smaller_words(self, cost: int) -> str:
        return f"use pictures of at most {cost:,} pixels"

    def worst_batch(self, cost: int = 0) -> None:
        """Every picture is as large as the others."""

    def predicted_bytes(self, batch: Batch, *, again: bool = False) -> float:
        raise NotImplementedError

    # ---- learning
    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        if self.plan.room_for and batch.cost > self.plan.room_for:
            raise RuntimeError(f"DefaultCPUAllocator: can't allocate memory: you tried to allocate {batch.cost} bytes.")
        return F.cross_entropy(self.model(batch.tensors["pictures"]), batch.tensors["targets"], reduction="sum"), batch.n_targets

    def reconfigure(self, plan: Plan) -> None:
        self.plan = PicturePlan.model_validate(plan.model_dump())

    def optimizer(self) -> Optimizers:
        return adamw(self.model.parameters(), self.plan)

    def state(self) -> dict[str, Tensor]:
        return dict(self.model.named_parameters())

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.model.load_state_dict(state)

    # ---- judging and saving
    @torch.no_grad()
    def _guess(self, chosen: Sequence[Example]) -> list[str]:
        return [self.classes[i] for i in self.model(self._pictures(chosen)).argmax(1).tolist()]

    def verdict(self, note: Note, stop: Callable[[], bool]) -> Judgement:
        note("telling pictures apart", None)
        now, n = self._guess(self.heldout_examples), len(self.heldout_examples)
        right = [sum(g == e.label for g, e in zip(guesses, self.heldout_examples, strict=True)) / n for guesses in (self.guessed, now)]
        words = f"{right[1]:.0%} of the pictures it never saw are told apart."
        gain = right[1] - right[0]
        score = Score(name="accuracy", before=right[0], after=right[1], n=n, difference=gain, words=words, main=True, share=True)
        told = zip(self.heldout_examples, self.guessed, now, strict=True)
        samples = tuple(Sample(prompt=e.media[0], reference=str(e.label), before=was, after=is_) for e, was, is_ in list(told)[:3])
        return Judgement("better" if gain > 0 else "no difference seen", words, (score,), samples=samples, complete=not stop())

    def preview(self, most: int, stop: Callable[[], bool]) -> tuple[Sample, ...]:
        """There is nothing to read."""
        return ()

    def save(self, folder: Path) -> Artifact:
        place = folder.with_name("model")
        place.mkdir(exist_ok=True)
        save_file({name: tensor.detach().contiguous() for name, tensor in self.state().items()}, place / "model.safetensors")
        return artifact_of(place, "model", 0, digest(place / "model.safetensors"))
