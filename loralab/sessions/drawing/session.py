"""The session of a run that learns to draw: pictures with captions -> how far what the model says of noisy ones is from the truth.

Invariants: noise follows from seed, epoch and row alone; the pictures held out are looked at once, at the end; what is drawn while it
learns is drawn from the same noise each time; base and adapter are compared on the same noise, the base without the trigger word.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor

from loralab.core.digest import digest
from loralab.core.errors import UserError
from loralab.core.events import Measured, Noted
from loralab.core.jobs import TrainJob
from loralab.core.judgement import Judgement, Note
from loralab.core.paths import write_atomic
from loralab.core.records import Artifact, Example, Plan, Sample
from loralab.core.words import count
from loralab.datasets.images.door import load_pictures, parts
from loralab.runs.run_folder import RunFolder
from loralab.runtimes.base_model import device
from loralab.runtimes.vision.drawing import CARD, TARGETS, DrawCard, load_base
from loralab.runtimes.vision.draws import SIDE
from loralab.sessions.drawing.easel import Easel
from loralab.sessions.drawing.gallery import Drawings
from loralab.sessions.drawing.judged import judged
from loralab.tasks.draw import DrawPlan
from loralab.train.finite import refuse_broken
from loralab.train.loop import artifact_of
from loralab.train.optim import Optimizers, adamw
from loralab.train.session import Batch

KEPT_BYTES = 3_500  # a pixel that is drawn, kept for the way back (counted by benchmarks/drawing.py)
SHOWN = 4  # pictures drawn again and again while it learns


class DrawSession:
    """See loralab.train.session.Session."""

    unit = "pixels"
    safe_rate = 1e-2

    def __init__(self, plan: DrawPlan, folder: RunFolder) -> None:
        self.plan, self.folder = plan, folder
        folder.emit(Noted(text="", phase="looking at the pictures"))
        self.pictures = load_pictures(Path(plan.dataset), folder.path.parents[1], plan.roles or None)
        if self.pictures.task != plan.task:
            what = "These pictures are for another kind of training than the plan says."
            raise UserError(what, "Choose the pictures again.", code="other_task")
        divided = parts(self.pictures, plan.heldout_share, plan.seed)
        learned = list(divided.learn)
        if folder.asked(TrainJob).control:
            learned = _shuffled(learned, plan.seed)
            folder.emit(Noted(text="A control: every caption it learns from belongs to another picture."))
        self.train_examples: Sequence[Example] = learned
        self.watched: Sequence[Example] = divided.watch
        self.heldout_examples: Sequence[Example] = divided.heldout
        self.easel = Easel(self.pictures, SIDE, plan.trigger, plan.seed)
        self._by_row = {example.row: example for example in (*learned, *divided.watch, *divided.heldout)}
        folder.emit(Noted(text="", phase="loading the model"))
        torch.manual_seed(plan.seed)
        self.device = device()
        base = load_base(Path(folder.job.model)).to(self.device)
        config = LoraConfig(r=plan.rank, lora_alpha=plan.rank, target_modules=TARGETS)
        # the adapter's own weights stay as they are laid out: a checkpoint gives the optimiser's notes back so, and both must be alike
        self.model: Any = get_peft_model(base, config)  # type: ignore[arg-type]  # PEFT takes any module
        self.drawings = Drawings(self.model, self.easel, plan, folder.artifacts)
        self._note_facts()

    def _note_facts(self) -> None:
        trained = sum(p.numel() for p in self._trained().values())
        n, held = len(self.train_examples), len(self.heldout_examples)
        words = f"Learning from {count(n, 'picture')}, choosing by {len(self.watched):,}, {held:,} held out"
        self.folder.emit(
            Measured(text=f"{words}; {trained / 1e6:.2f} million weights learn.", trainable=trained, n_train=n, n_heldout=held)
        )

    @property
    def area(self) -> int:
        """Pixels of a picture as it is drawn."""
        return self.easel.side**2

    # ---- batches ---------------------------------------------------------------------------------------------------------
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.train_examples) / self.plan.effective_batch)

    def steps(self, epoch: int, start: int = 0) -> Iterator[Sequence[Batch]]:
        order, size = np.random.default_rng([self.plan.seed, epoch]).permutation(len(self.train_examples)), self.plan.effective_batch
        for step in range(start, self.steps_per_epoch()):
            chosen = [self.train_examples[i] for i in order[step * size : (step + 1) * size]]
            yield [self._batch(part, epoch) for part in self._pieces(chosen)]

    def starting_point(self) -> str:
        return ""  # drawings of the base lie in the run's own folder

    def heldout(self) -> Iterator[Batch]:
        for part in self._pieces(self.watched):
            yield self._batch(part, None)

    def leave_out(self, heldout_rows: Collection[int]) -> None:
        self.watched = [example for example in self.watched if example.row not in heldout_rows]
        self.heldout_examples = [example for example in self.heldout_examples if example.row not in heldout_rows]

    def split(self, batch: Batch) -> tuple[Batch, Batch] | None:
        half = len(batch.rows) // 2
        return (_part(batch, slice(0, half)), _part(batch, slice(half, None))) if half else None

    def _pieces(self, chosen: Sequence[Example]) -> Iterator[Sequence[Example]]:
        at_once = int(max(1, min(self.plan.micro_batch, (self.plan.token_budget or math.inf) // self.area)))
        for i in range(0, len(chosen), at_once):
            yield chosen[i : i + at_once]

    def _batch(self, part: Sequence[Example], epoch: int | None) -> Batch:
        tensors = self.easel.shown(part, epoch, self.plan.blank_captions)
        return Batch(tensors, self.area * len(part), len(part), tuple(example.row for example in part), (self.area,) * len(part))

    # ---- what a batch costs ----------------------------------------------------------------------------------------------
    @property
    def cost_limit(self) -> int:
        return self.plan.token_budget

    def limit_cost(self, cost: int) -> dict[str, Any]:
        return {"token_budget": cost}

    def smaller_words(self, cost: int) -> str:  # noqa: ARG002  (as the other kinds)
        return "close other programs"

    def worst_batch(self, cost: int = 0) -> Batch | None:
        n = min(self.plan.effective_batch, len(self.train_examples))
        part = next(iter(self._pieces(self.train_examples[:n])))
        return self._batch(part[: max(1, cost // self.area)] if cost else part, 0)

    def predicted_bytes(self, batch: Batch, *, again: bool = False) -> float:
        gradients = 4 * sum(p.numel() for p in self._trained().values()) if again else 0
        return KEPT_BYTES * batch.cost + gradients

    # ---- learning --------------------------------------------------------------------------------------------------------
    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        return self.losses(batch).sum(), len(batch.rows)

    def losses(self, batch: Batch, *, trigger: bool = True) -> Tensor:
        """Of each picture [n]: mean square of what is wrong in the way from the picture to the noise, over pixels and times."""
        tensors = {name: value.to(self.device) for name, value in batch.tensors.items()}
        clean, noise, times = tensors["pictures"], tensors["noise"], tensors["times"]
        looks = times.shape[1]
        captions = [self.easel.caption(self._by_row[row], trigger=trigger) for row in batch.rows]
        captions = ["" if hidden else words for words, hidden in zip(captions, tensors["hidden"].tolist(), strict=True)]
        noisy = torch.lerp(clean[:, None].expand_as(noise), noise, times[:, :, None, None, None])
        said = self.model(noisy.flatten(0, 1), times.flatten(), [words for words in captions for _ in range(looks)])
        return (said.view_as(noise) - (noise - clean[:, None])).float().pow(2).flatten(1).mean(1)

    def reconfigure(self, plan: Plan) -> None:
        self.plan = DrawPlan.model_validate(plan.model_dump())

    def optimizer(self) -> Optimizers:
        return adamw(self._trained().values(), self.plan)

    def _trained(self) -> dict[str, Tensor]:
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    def state(self) -> dict[str, Tensor]:
        return self._trained()

    @torch.no_grad()
    def load_state(self, state: dict[str, Tensor]) -> None:
        for name, parameter in self._trained().items():
            parameter.copy_(state[name])

    # ---- judging and saving ----------------------------------------------------------------------------------------------
    def verdict(self, note: Note, stop: Callable[[], bool]) -> Judgement:
        found = judged(self, note, stop)
        self._write_card(self.folder.artifacts / "adapter")
        return found

    @torch.no_grad()
    def denoising(self, examples: Sequence[Example], *, trained: bool) -> list[float]:
        """The loss of each picture at fixed times and noise, of the adapter, or of the base without the trigger word."""
        self.model.eval()
        found: list[float] = []
        for part in self._pieces(examples):
            batch = self._batch(part, None)
            if trained:
                found += self.losses(batch).tolist()
                continue
            with self.model.disable_adapter():
                found += self.losses(batch, trigger=False).tolist()
        return found

    def preview(self, most: int, stop: Callable[[], bool]) -> tuple[Sample, ...]:
        if self.folder.asked(TrainJob).control:
            return ()
        shown = max(most, SHOWN)
        chosen = list(self.watched[:: max(1, len(self.watched) // shown)])[:shown]
        return self.drawings.again(chosen, stop)

    def save(self, folder: Path) -> Artifact:
        refuse_broken(self._trained(), "adapter")
        building = folder.with_name(folder.name + ".writing")
        self.model.save_pretrained(str(building), safe_serialization=True)
        self._write_card(building)
        old = folder.with_name(folder.name + ".old")
        if folder.exists():
            folder.rename(old)
        building.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
        return artifact_of(folder, "adapter", 0, digest(folder / "adapter_model.safetensors"))

    def _write_card(self, folder: Path) -> None:
        plan = self.plan
        card = DrawCard(trigger=plan.trigger, steps=plan.drawing_steps, guidance=plan.guidance, medical=self.pictures.medical)
        if folder.is_dir():
            write_atomic(folder / CARD, card.model_dump_json(indent=1))


def _part(batch: Batch, which: slice) -> Batch:
    costs = batch.costs[which]
    return Batch({name: value[which] for name, value in batch.tensors.items()}, sum(costs), len(costs), batch.rows[which], costs)


def _shuffled(examples: Sequence[Example], seed: int) -> list[Example]:
    """The same pictures with each other's captions."""
    order = np.random.default_rng(seed).permutation(len(examples)).tolist()
    return [one.model_copy(update={"text": examples[at].text}) for one, at in zip(examples, order, strict=True)]
