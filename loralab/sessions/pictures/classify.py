"""Sorting pictures into classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from loralab.core.judgement import Judgement
from loralab.core.records import Example
from loralab.evaluations.images.seen import SeenClasses
from loralab.evaluations.images.verdict import judge_classes
from loralab.runs.run_folder import RunFolder
from loralab.runtimes.vision.heads.classes import ClassHead
from loralab.sessions.pictures.album import Album
from loralab.sessions.pictures.kind import Answers, Shown
from loralab.sessions.pictures.session import PictureSession
from loralab.tasks.pictures import PicturePlan

RAREST = 10.0  # times that a picture of a rare class counts at most


class Classes:
    """See loralab.sessions.pictures.kind.Kind. An answer is the probabilities of the classes [classes]."""

    task = "classify"
    quick_rate, quick_batch, quick_views = 1e-3, 64, 1

    def __init__(self, plan: PicturePlan, labels: Sequence[str]) -> None:
        self.plan, self.labels = plan, tuple(labels)
        self.learned: Counter[str] = Counter()
        self.weights: Tensor | None = None

    def count(self, examples: Sequence[Example]) -> None:
        """Learn how rare each class is."""
        self.learned = Counter(str(example.label) for example in examples)
        if self.plan.class_weights == "balanced":
            usual = len(examples) / max(1, len(self.labels))
            self.weights = torch.tensor([min(RAREST, usual / max(1, self.learned[label])) for label in self.labels])

    def targets(self, examples: Sequence[Example], shown: Sequence[Shown]) -> dict[str, Tensor]:  # noqa: ARG002  (as the other kinds)
        return {"labels": torch.tensor([self.labels.index(str(example.label)) for example in examples])}

    def kept(self, features: list[Tensor]) -> list[Tensor]:
        return [ClassHead.pooled(features)]

    def loss(self, head: ClassHead, said: Tensor, tensors: dict[str, Tensor]) -> tuple[Tensor, int]:
        return head.loss(said, tensors["labels"], self.weights)

    def answers(self, head: ClassHead, said: Tensor, shown: Sequence[Shown], album: Album, examples: Sequence[Example]) -> list[Any]:  # noqa: ARG002
        return list(head.predict(said).cpu().numpy())

    def words(self, answer: Any) -> str:
        best = int(np.argmax(answer))
        return f"{self.labels[best]} ({100 * float(answer[best]):.0f} %)"

    def marks(self, answer: Any) -> None:  # noqa: ARG002  (as the other kinds)
        return None

    def truth_words(self, example: Example) -> str:
        return str(example.label)

    def shuffled(self, examples: Sequence[Example], seed: int) -> list[Example]:
        """Within each class all labels as often as in all: by lot alone, few pictures would keep something to be learned."""
        random, given = np.random.default_rng(seed), list(examples)
        labels = sorted(str(example.label) for example in examples)
        for label in self.labels:
            own = random.permutation([at for at, example in enumerate(examples) if example.label == label])
            for turn, at in enumerate(own.tolist()):
                other = labels[int((turn + random.random()) * len(labels) / len(own))]
                given[at] = examples[at].model_copy(update={"label": other})
        return given

    def judge(self, about: dict[str, Any], examples: Sequence[Example], answers: Answers, watched: Any, album: Album) -> Judgement:
        del album
        seen, said = watched
        found = SeenClasses(
            **about,
            truth=self._numbers(examples),
            after=np.array(answers.after),
            probe=None if answers.probe is None else np.array(answers.probe),
            learned=[self.learned[label] for label in self.labels],
            watch_truth=self._numbers(seen),
            watch_after=np.array(said).reshape(len(seen), len(self.labels)),
        )
        return judge_classes(found)

    def _numbers(self, examples: Sequence[Example]) -> np.ndarray[Any, np.dtype[np.int64]]:
        return np.array([self.labels.index(str(example.label)) for example in examples], np.int64)

    def judged(self, found: Judgement) -> dict[str, Any]:
        table = next(iter(found.tables.values()), {})
        chosen = {"temperature": table.get("temperature"), "unsure_below": table.get("threshold")}
        return {name: float(value) for name, value in chosen.items() if value is not None}


def open_session(plan: PicturePlan, folder: RunFolder) -> PictureSession:
    """The session of a plan."""
    return PictureSession(plan, folder, Classes)
