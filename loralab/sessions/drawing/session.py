"""The session of a run that learns to draw: pictures with captions -> how far what the model says of noisy ones is from the truth.

Invariants: noise follows from seed, epoch and row alone; the pictures held out are looked at once, at the end; what is drawn while it
learns is drawn from the same noise each time; base and adapter are compared on the same noise, the base without the trigger word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor

from loralab.core.errors import Unavailable
from loralab.core.events import Measured, Noted
from loralab.core.jobs import TrainJob
from loralab.core.judgement import Judgement, Note
from loralab.core.paths import write_atomic
from loralab.core.records import Example, Sample
from loralab.machine.hardware import fingerprint, measure_machine
from loralab.models.drawing import drawing_entry
from loralab.runs.run_folder import RunFolder
from loralab.runtimes.base_model import device
from loralab.runtimes.vision.diffusion.kept import ROOM
from loralab.runtimes.vision.drawing import CARD, DrawCard, open_painter
from loralab.sessions.drawing.easel import Easel, Size
from loralab.sessions.drawing.gallery import Drawings
from loralab.sessions.drawing.judged import judged
from loralab.sessions.pictured import PicturedSession
from loralab.sessions.pictures.facts import Learner, facts_of, told
from loralab.tasks.draw import DrawPlan
from loralab.train import memory
from loralab.train.optim import Optimizers, adamw
from loralab.train.session import Batch

SHOWN = 4  # pictures drawn again and again while it learns


class DrawSession(PicturedSession):
    """See loralab.train.session.Session."""

    def __init__(self, plan: DrawPlan, folder: RunFolder) -> None:
        super().__init__(plan, folder)
        if folder.asked(TrainJob).control:
            self.train_examples = _shuffled(self.train_examples, plan.seed)
            folder.emit(Noted(text="A control: every caption it learns from belongs to another picture."))
        every = (*self.train_examples, *self.watched, *self.heldout_examples)
        self._by_row = {example.row: example for example in every}
        folder.emit(Noted(text="", phase="loading the model"))
        torch.manual_seed(plan.seed)
        self.device = device()
        keep = None if self.pictures.medical else folder.path.parents[1] / ROOM  # what is kept can be turned into the picture again
        self.painter = open_painter(Path(folder.job.model), self.device, plan.precision, keep)
        self.easel = Easel(self.pictures, self.painter, self.side, plan.trigger, plan.seed)
        self._look(every)
        config = LoraConfig(r=plan.rank, lora_alpha=plan.rank, target_modules=self.painter.targets)
        # the adapter's own weights stay as they are laid out: a checkpoint gives the optimiser's notes back so, and both must be alike
        self.model = get_peft_model(self.painter.net, config)
        self.drawings = Drawings(self.model, self.painter, self.easel, plan, folder.artifacts)
        self._note_facts()

    @property
    def side(self) -> int:
        """Of what is drawn, in pixels: a base that knows one size alone draws in that."""
        return self.plan.image_size if self.painter.step else self.painter.side

    def _look(self, every: Sequence[Example]) -> None:
        """Everything that is computed once: captions, after which their reader is let go, and pictures."""
        said = [self.easel.caption(one, trigger=trigger) for one in every for trigger in (True, False)]
        self.painter.read(["", *said])
        self.painter.forget()
        self.easel.prepare(every, lambda share: self.folder.emit(Noted(text="", phase="looking at the pictures", fraction=share)))

    def _note_facts(self) -> None:
        trained, machine = sum(p.numel() for p in self._trained().values()), measure_machine(self.folder.path.parents[1])
        learner = Learner(
            parameters=sum(p.numel() for p in self.model.parameters()),
            trainable=trained,
            device=self.device.type,
            place=fingerprint(machine),
            room=machine.training_memory_free + memory.used(),
            architecture=type(self.painter.net).__name__,
        )
        sides = self.train_examples, self.watched, self.heldout_examples
        facts = facts_of(self.pictures, sides, self.side, learner, self.plan.guessed, self.plan.trigger)
        self.folder.emit(Measured(text=told(facts), trainable=trained, n_train=facts.n_train, n_heldout=facts.n_heldout, facts=facts))

    @property
    def area(self) -> int:
        """Pixels of a picture as it is drawn."""
        return self.side**2

    # ---- batches ---------------------------------------------------------------------------------------------------------
    def _pieces(self, chosen: Sequence[Example]) -> Iterator[Sequence[Example]]:
        """As many at once as the plan allows, all of one size; sizes in the order they first come in."""
        by_size: dict[Size, list[Example]] = {}
        for example in chosen:
            by_size.setdefault(self.easel.size(example), []).append(example)
        for alike in by_size.values():
            yield from super()._pieces(alike)

    def _batch(self, part: Sequence[Example], epoch: int | None) -> Batch:
        tensors = self.easel.shown(part, epoch, self.plan.blank_captions)
        return Batch(tensors, self.area * len(part), len(part), tuple(example.row for example in part), (self.area,) * len(part))

    # ---- what a batch costs ----------------------------------------------------------------------------------------------
    def smaller_words(self, cost: int) -> str:  # noqa: ARG002  (as the other kinds)
        return "choose a smaller “Picture size”" if self.painter.step else "close other programs"

    def predicted_bytes(self, batch: Batch, *, again: bool = False) -> float:
        entry = drawing_entry(self.plan.base_model)
        if entry is None:
            raise Unavailable("How much this model keeps was never counted.", "Take one of the list.", code="not_counted")
        gradients = 4 * sum(p.numel() for p in self._trained().values()) if again else 0
        return entry.kept * batch.cost + gradients

    # ---- learning --------------------------------------------------------------------------------------------------------
    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        return self.losses(batch).sum(), len(batch.rows)

    def losses(self, batch: Batch, *, trigger: bool = True) -> Tensor:
        """Of each picture [n]: mean square of what the base says wrong, over its canvas and times."""
        tensors = {name: value.to(self.device) for name, value in batch.tensors.items()}
        clean, noise, times = tensors["pictures"], tensors["noise"], tensors["times"]
        looks = times.shape[1]
        captions = [self.easel.caption(self._by_row[row], trigger=trigger) for row in batch.rows]
        captions = ["" if hidden else words for words, hidden in zip(captions, tensors["hidden"].tolist(), strict=True)]
        every = clean[:, None].expand_as(noise).flatten(0, 1)
        said = self.painter.wrong(every, noise.flatten(0, 1), times.flatten(), [words for words in captions for _ in range(looks)])
        return said.view(-1, looks).mean(1)

    def optimizer(self) -> Optimizers:
        return adamw(self._trained().values(), self.plan)

    # ---- judging and saving ----------------------------------------------------------------------------------------------
    def verdict(self, note: Note, stop: Callable[[], bool]) -> Judgement:
        found = judged(self, note, stop)
        self._write_card(self.folder.artifacts / "adapter")
        return found

    @torch.no_grad()
    def denoising(self, examples: Sequence[Example], *, trained: bool) -> list[float]:
        """The loss of each picture at fixed times and noise, of the adapter, or of the base without the trigger word; in their order."""
        self.model.eval()
        found: dict[int, float] = {}
        for part in self._pieces(examples):
            batch = self._batch(part, None)
            if trained:
                found |= dict(zip(batch.rows, self.losses(batch).tolist(), strict=True))
                continue
            with self.model.disable_adapter():
                found |= dict(zip(batch.rows, self.losses(batch, trigger=False).tolist(), strict=True))
        return [found[one.row] for one in examples]

    def preview(self, most: int, stop: Callable[[], bool]) -> tuple[Sample, ...]:
        if self.folder.asked(TrainJob).control:
            return ()
        shown = max(most, SHOWN)
        chosen = list(self.watched[:: max(1, len(self.watched) // shown)])[:shown]
        return self.drawings.again(chosen, stop)

    def _write_card(self, folder: Path, chosen: dict[str, Any] | None = None) -> None:
        plan = self.plan
        card = DrawCard(
            trigger=plan.trigger,
            side=self.side,
            steps=plan.drawing_steps,
            guidance=plan.guidance,
            precision=plan.precision,
            medical=self.pictures.medical,
            **(chosen or {}),
        )
        if folder.is_dir():
            write_atomic(folder / CARD, card.model_dump_json(indent=1))


def _shuffled(examples: Sequence[Example], seed: int) -> list[Example]:
    """The same pictures with each other's captions."""
    order = np.random.default_rng(seed).permutation(len(examples)).tolist()
    return [one.model_copy(update={"text": examples[at].text}) for one, at in zip(examples, order, strict=True)]
