"""The picture session: pictures -> the loss of a head on a backbone with an adapter.

First a quick look: what the backbone sees of each picture is computed once, and only the head learns. Then adapter and head learn
together, every picture a little different each time.

Invariants: what a picture is shown as depends on seed, epoch and row alone; while learning, only the watched pictures are looked at, so
that the held-out ones are judged once; an interrupted run goes on from the same quick look.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from loralab.core.events import Measured, Noted
from loralab.core.jobs import TrainJob, Trial
from loralab.core.judgement import Judgement, Note
from loralab.core.paths import write_atomic
from loralab.core.records import Example, Sample
from loralab.datasets.images.kept_marks import keep
from loralab.datasets.images.subgroups import subgroups
from loralab.datasets.images.views import input_size
from loralab.machine.hardware import fingerprint, measure_machine
from loralab.models.vision import seeing_in
from loralab.runs.run_folder import RunFolder
from loralab.runtimes.base_model import device
from loralab.runtimes.vision.picture_model import CARD, PictureCard, prepared_by, seeing_model
from loralab.sessions.pictured import PicturedSession
from loralab.sessions.pictures.album import Album, pixels
from loralab.sessions.pictures.facts import Learner, facts_of, told
from loralab.sessions.pictures.kind import Answers, Kind, Shown
from loralab.sessions.pictures.model import attach, before, groups, tensor
from loralab.sessions.pictures.quick_look import QuickLook
from loralab.sessions.pictures.self_check import frozen_marks, moved, not_saved
from loralab.tasks.pictures import PicturePlan
from loralab.train import memory
from loralab.train.optim import Optimizers, named
from loralab.train.session import Batch

PROBE = "quick_look.safetensors"  # in a run's artifacts: the head as the quick look left it
SHOWN = 6  # pictures whose answers are told while it learns


class PictureSession(PicturedSession):
    """See loralab.train.session.Session."""

    def __init__(self, plan: PicturePlan, folder: RunFolder, kind: Callable[[PicturePlan, Sequence[str]], Kind]) -> None:
        super().__init__(plan, folder)
        self.kind = kind(plan, self.pictures.labels)
        learned = list(self.train_examples)
        if folder.asked(TrainJob).control:
            learned = self.kind.shuffled(learned, plan.seed)
            folder.emit(Noted(text="A control: every answer it learns from belongs to another picture. It must not get better."))
        self.kind.count(learned)
        self.train_examples = learned
        size = input_size([(fact.width, fact.height) for fact in self.pictures.facts], plan.image_size)
        self.album = Album(self.pictures, size, plan.augmentation, plan.seed)
        self.device = device()
        folder.emit(Noted(text="", phase="loading the model"))
        self.seeing = seeing_in(Path(folder.job.model))
        torch.manual_seed(plan.seed)
        seeing = self._loaded().to(self.device)
        self._prepared = prepared_by(seeing)
        self._quick_look(seeing)
        self.model: Any = attach(seeing, plan)
        self._frozen = frozen_marks(self.model)
        self.head: Any = seeing.head.original_module if hasattr(seeing.head, "original_module") else seeing.head
        self._note_facts()

    def _loaded(self) -> Any:
        plan, labels = self.plan, self.pictures.labels
        return seeing_model(Path(self.folder.job.model), plan.task, len(labels), self.album.size, plan.seed, plan.dropout)

    def _note_facts(self) -> None:
        trained = sum(p.numel() for p in self._trained().values())
        machine = measure_machine(self.folder.path.parents[1])
        learner = Learner(
            parameters=sum(p.numel() for p in self.model.parameters()),
            trainable=trained,
            device=self.device.type,
            place=fingerprint(machine),
            room=machine.training_memory_free + memory.used(),
            architecture=self.seeing.architecture,
        )
        sides = self.train_examples, self.watched, self.heldout_examples
        facts = facts_of(self.pictures, sides, self.plan.image_size, learner, self.plan.guessed)
        self.folder.emit(Measured(text=told(facts), trainable=trained, n_train=facts.n_train, n_heldout=facts.n_heldout, facts=facts))

    @property
    def area(self) -> int:
        """Pixels of a picture as it is looked at."""
        return self.album.size[0] * self.album.size[1]

    @property
    def _looked_first(self) -> bool:
        """Whether a quick look comes before; a head of the model's own cannot learn on features that are kept."""
        return bool(self.plan.probe_rounds) and not self.seeing.own_head

    def _quick_look(self, seeing: Any) -> None:
        """The head learns on what the frozen backbone sees; known already where the run was interrupted."""
        place = self.folder.path.parent / self.folder.job.run / "artifacts" / PROBE  # of the run itself, also when it is judged again
        if place.is_file():
            seeing.head.load_state_dict(load_file(place))
            return
        if not self._looked_first:
            return
        looking = QuickLook(self.kind, self.album, self.plan, self.device, self.folder)
        if not looking.learn(seeing, self.train_examples, self._at_once):
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: value.contiguous() for name, value in seeing.head.state_dict().items()}, place)

    # ---- batches ---------------------------------------------------------------------------------------------------------
    def _batch(self, part: Sequence[Example], epoch: int | None) -> Batch:
        shown = [self.album.seen(example, epoch) for example in part]
        tensors = {"pixels": torch.from_numpy(pixels([one for one, _ in shown])), **self.kind.targets(part, shown)}
        return Batch(tensors, self.area * len(part), len(part), tuple(example.row for example in part), (self.area,) * len(part))

    # ---- what a batch costs ----------------------------------------------------------------------------------------------
    def smaller_words(self, cost: int) -> str:
        return f"set “Picture size” to {max(32, math.isqrt(cost) // 32 * 32)} pixels"

    def predicted_bytes(self, batch: Batch, *, again: bool = False) -> float:
        """By what was counted of the model, and a third more for the head."""
        gradients = 4 * sum(p.numel() for p in self._trained().values()) if again else 0
        return 1.35 * self.seeing.cost.bytes(self.area) * len(batch.rows) + gradients

    # ---- learning --------------------------------------------------------------------------------------------------------
    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        said = self.model(tensor(batch.tensors["pixels"].numpy(), self.device))
        return self.kind.loss(self.head, said, {name: value.to(self.device) for name, value in batch.tensors.items() if name != "pixels"})

    def optimizer(self) -> Optimizers:
        return named(groups(self.model, self.plan), self.plan)

    # ---- judging and saving ----------------------------------------------------------------------------------------------
    @torch.no_grad()
    def answers(self, examples: Sequence[Example], *, trained: bool = True, stop: Callable[[], bool] | None = None) -> list[Any]:
        """What is said of each picture now, or with `trained` False as the quick look left it; stopped, of the first ones."""
        self.model.eval()
        found: list[Any] = []
        with before(self.model, trained=trained):
            for part in self._pieces(examples):
                if stop is not None and stop():
                    break
                shown = [self.album.seen(example) for example in part]
                said = self.model(tensor(pixels([one for one, _ in shown]), self.device))
                found += self.kind.answers(self.head, said, shown, self.album, part)
        return found

    def verdict(self, note: Note, stop: Callable[[], bool]) -> Judgement:
        trial = isinstance(self.folder.asked(TrainJob).origin, Trial)
        held = list(self.watched if trial else self.heldout_examples)  # what is chosen by is none of what is judged in the end
        note("looking at the pictures it never saw", 0.0)
        after = self.answers(held, stop=stop)
        note("looking at them again as before", 0.4)
        probe = self.answers(held[: len(after)], trained=False, stop=stop) if self._looked_first else None
        n = min(len(after), len(probe)) if probe is not None else len(after)
        note("choosing when to be sure", 0.8)
        watched = (self.watched, self.answers(self.watched))
        held = held[:n]
        about: dict[str, Any] = {
            "labels": self.pictures.labels,
            "rows": [example.row for example in held],
            "media": [example.media[0] for example in held],
            "groups": [example.group for example in held],
            "facts": subgroups(self.pictures, held),
        }
        found = self.kind.judge(about, held, Answers(None if probe is None else probe[:n], after[:n]), watched, self.album)
        self._write_card(self.folder.artifacts / "adapter", self.kind.judged(found))
        return found

    def preview(self, most: int, stop: Callable[[], bool]) -> tuple[Sample, ...]:
        if self.folder.asked(TrainJob).control:
            return ()
        shown = max(most, SHOWN)
        chosen = list(self.watched[:: max(1, len(self.watched) // shown)])[:shown]
        said = self.answers(chosen, stop=stop)
        both = zip(chosen, said, strict=False)
        return tuple(
            Sample(
                prompt=example.media[0],
                reference=self.kind.truth_words(example),
                before="",
                after=self.kind.words(answer),
                drawn="" if (marked := self.kind.marks(answer)) is None else keep(self.folder.artifacts, marked),
            )
            for example, answer in both
        )

    def _check_saved(self, folder: Path) -> None:
        """Whether what was to stay as it is did, and a fresh load of what was saved says the same of a few pictures."""
        some = [self.album.seen(example)[0] for example in self.watched[:4]]
        found = [moved(self._frozen, self.model, 0)]
        found += [not_saved(self.model, Path(self.folder.job.model), folder, pixels(some), 0)] if some else []
        for incident in found:
            if incident is not None:
                self.folder.emit(incident)

    def _write_card(self, folder: Path, chosen: dict[str, Any] | None = None) -> None:
        width, height = self.album.size
        card = PictureCard(
            task=self.plan.task,  # type: ignore[arg-type]  # one of the three
            labels=self.pictures.labels,
            width=width,
            height=height,
            dropout=self.plan.dropout,
            medical=self.pictures.medical,
            **self._prepared,
            **(chosen or {}),
        )
        if folder.is_dir():
            write_atomic(folder / CARD, card.model_dump_json(indent=1))


__all__ = ["PictureSession", "Shown"]
