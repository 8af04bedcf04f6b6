"""Finding things in pictures and drawing a box around each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from loralab.core.judgement import Judgement
from loralab.core.records import Example
from loralab.core.words import listed
from loralab.datasets.images.drawn import Mark, Marks
from loralab.evaluations.images.boxes import Found
from loralab.evaluations.images.seen import SeenBoxes
from loralab.evaluations.images.verdict import judge_boxes
from loralab.runs.run_folder import RunFolder
from loralab.runtimes.vision.heads.boxes import BoxHead, Spots
from loralab.sessions.pictures.album import Album
from loralab.sessions.pictures.kind import Answers, Shown
from loralab.sessions.pictures.session import PictureSession
from loralab.tasks.pictures import PicturePlan

NOBODY = -1  # class of a box that only fills up the row of a picture with fewer


class Boxes:
    """See loralab.sessions.pictures.kind.Kind. An answer is a Found of loralab.evaluations.images.boxes, in the picture's own pixels."""

    task = "detect"
    quick_rate, quick_batch, quick_views = 2e-3, 8, 4

    def __init__(self, plan: PicturePlan, labels: Sequence[str]) -> None:
        self.plan, self.labels = plan, tuple(labels)
        self.most = 1
        self.shown_from = 0.3

    def count(self, examples: Sequence[Example]) -> None:
        """How many boxes a row of a batch must have room for."""
        self.most = max([1, *(len(example.target.regions) for example in examples if example.target)])

    def targets(self, examples: Sequence[Example], shown: Sequence[Shown]) -> dict[str, Tensor]:  # noqa: ARG002  (as the other kinds)
        most = max([self.most, *(len(labels) for _, labels in shown)])
        boxes, kinds = torch.zeros(len(shown), most, 4), torch.full((len(shown), most), NOBODY)
        for at, (seen, labels) in enumerate(shown):
            boxes[at, : len(labels)] = torch.from_numpy(seen.boxes)
            kinds[at, : len(labels)] = torch.from_numpy(labels)
        return {"boxes": boxes, "kinds": kinds}

    def kept(self, features: list[Tensor]) -> list[Tensor]:
        return [features[0][:, :1, :1, :1], *features[1:]]  # the finest is not looked at

    def loss(self, head: BoxHead, said: Spots, tensors: dict[str, Tensor]) -> tuple[Tensor, int]:
        there = tensors["kinds"] != NOBODY
        boxes = [row[here] for row, here in zip(tensors["boxes"], there, strict=True)]
        return head.loss(said, boxes, [row[here] for row, here in zip(tensors["kinds"], there, strict=True)])

    def answers(self, head: BoxHead, said: Spots, shown: Sequence[Shown], album: Album, examples: Sequence[Example]) -> list[Any]:
        found: list[Any] = []
        for (boxes, scores, kinds), (seen, _), example in zip(head.predict(said), shown, examples, strict=True):
            places = seen.place.to_picture(boxes.cpu().numpy()) / album.opened(example).factor
            found.append(
                Found(np.asarray(places, np.float64), kinds.cpu().numpy().astype(np.int64), scores.cpu().numpy().astype(np.float64))
            )
        return found

    def words(self, answer: Found) -> str:
        sure = answer.sure if answer.sure is not None else np.ones(len(answer.kinds))
        return self._counted(Counter(answer.kinds[sure >= self.shown_from].tolist()))

    def marks(self, answer: Found) -> Marks:
        sure = answer.sure if answer.sure is not None else np.ones(len(answer.kinds))
        found = zip(answer.places.tolist(), answer.kinds.tolist(), sure.tolist(), strict=True)
        return Marks(boxes=tuple(Mark(self.labels[kind], tuple(box), chance) for box, kind, chance in found if chance >= self.shown_from))

    def truth_words(self, example: Example) -> str:
        regions = example.target.regions if example.target else ()
        return self._counted(Counter(self.labels.index(region.label) for region in regions))

    def _counted(self, counts: Counter[int]) -> str:
        return listed([f"{n} × {self.labels[kind]}" for kind, n in sorted(counts.items())]) or "nothing"

    def shuffled(self, examples: Sequence[Example], seed: int) -> list[Example]:
        order = np.random.default_rng(seed).permutation(len(examples))
        return [one.model_copy(update={"target": examples[other].target}) for one, other in zip(examples, order, strict=True)]

    def judge(
        self,
        about: dict[str, Any],
        examples: Sequence[Example],
        answers: Answers,
        watched: tuple[Sequence[Example], list[Any]],
        album: Album,
    ) -> Judgement:
        del album
        seen, said = watched
        nothing = Found(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0))
        return judge_boxes(
            SeenBoxes(
                **about,
                truth=[self._truth(example) for example in examples],
                before=[nothing for _ in examples],
                after=answers.after,
                probe=answers.probe,
                watch_truth=[self._truth(example) for example in seen],
                watch_after=said,
            )
        )

    def _truth(self, example: Example) -> Found:
        regions = [region for region in (example.target.regions if example.target else ()) if region.box]
        kinds = np.array([self.labels.index(region.label) for region in regions], np.int64)
        return Found(np.array([region.box for region in regions], np.float64).reshape(-1, 4), kinds)

    def judged(self, found: Judgement) -> dict[str, Any]:
        table = next(iter(found.tables.values()), {})
        self.shown_from = float(table.get("confidence") or self.shown_from)
        return {"threshold": self.shown_from}


def open_session(plan: PicturePlan, folder: RunFolder) -> PictureSession:
    """The session of a plan."""
    return PictureSession(plan, folder, Boxes)
