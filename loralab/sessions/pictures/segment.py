"""Marking in pictures which pixels are what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from loralab.core.judgement import Judgement
from loralab.core.records import Example
from loralab.datasets.images.drawn import Marks
from loralab.evaluations.images.masks import marked
from loralab.evaluations.images.seen import SeenMasks
from loralab.evaluations.images.verdict import judge_masks
from loralab.runs.run_folder import RunFolder
from loralab.runtimes.vision.heads.masks import MaskHead
from loralab.sessions.pictures.album import Album
from loralab.sessions.pictures.kind import Answers, Shown
from loralab.sessions.pictures.session import PictureSession
from loralab.tasks.pictures import PicturePlan

ENOUGH = 30  # watched pictures that a threshold is chosen by: with a dozen the usual one did better
THRESHOLDS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)  # that are tried on the watched pictures, where there is one class


class Masks:
    """See loralab.sessions.pictures.kind.Kind. An answer is probabilities in the picture's own size: [height, width] in float16 of the one
    class, or the likeliest class [height, width] of several.
    """

    task = "segment"
    quick_rate, quick_batch, quick_views = 2e-3, 8, 8

    def __init__(self, plan: PicturePlan, labels: Sequence[str]) -> None:
        self.plan, self.labels = plan, tuple(labels)
        self.threshold = 0.5

    def count(self, examples: Sequence[Example]) -> None:
        """Nothing depends on how many there are."""

    def targets(self, examples: Sequence[Example], shown: Sequence[Shown]) -> dict[str, Tensor]:  # noqa: ARG002  (as the other kinds)
        return {"masks": torch.from_numpy(np.stack([seen.mask for seen, _ in shown])).long()}  # type: ignore[arg-type]

    def kept(self, features: list[Tensor]) -> list[Tensor]:
        return features

    def loss(self, head: MaskHead, said: Tensor, tensors: dict[str, Tensor]) -> tuple[Tensor, int]:
        return head.loss(said, tensors["masks"])

    def answers(self, head: MaskHead, said: Tensor, shown: Sequence[Shown], album: Album, examples: Sequence[Example]) -> list[Any]:
        chances = head.probabilities(said).float().cpu().numpy()
        found: list[Any] = []
        for chance, (seen, _), example in zip(chances, shown, examples, strict=True):
            fact = album.pictures.facts[example.row - 1]
            own = seen.place.map_to_picture(chance)
            if own.shape[-2:] != (fact.height, fact.width):
                own = _resized(own, fact.width, fact.height)
            found.append(own[0].astype(np.float16) if head.n_classes == 1 else own.argmax(0).astype(np.uint8))
        return found

    def marked(self, answer: Any) -> Any:
        """An answer as a mask: 0 background, i the i-th label."""
        return (answer >= self.threshold).astype(np.uint8) if answer.dtype == np.float16 else answer

    def words(self, answer: Any) -> str:
        return f"{100 * float((self.marked(answer) > 0).mean()):.0f} % of it is marked"

    def marks(self, answer: Any) -> Marks:
        return Marks(mask=self.marked(answer))

    def truth_words(self, example: Example) -> str:
        return "as it was marked by hand" if example.target else ""

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
        seen, said = watched
        truth = [album.truth(example) for example in examples]
        aside = [album.truth(example) for example in seen]
        if len(said) >= ENOUGH and said[0].dtype == np.float16:
            self.threshold = max(THRESHOLDS, key=lambda at: (round(_mean_dice(said, aside, at), 4), -abs(at - 0.5)))
        return judge_masks(
            SeenMasks(
                **about,
                truth=truth,
                before=[np.zeros_like(mask) for mask in truth],
                after=[self.marked(answer) for answer in answers.after],
                probe=None if answers.probe is None else [self.marked(answer) for answer in answers.probe],
                watch_truth=aside,
            )
        )

    def judged(self, found: Judgement) -> dict[str, Any]:  # noqa: ARG002  (as the other kinds)
        return {"threshold": self.threshold}


def _mean_dice(said: Sequence[Any], truth: Sequence[Any], threshold: float) -> float:
    return float(marked(truth, [(answer >= threshold).astype(np.uint8) for answer in said], 1, edges=False).dice.mean())


def _resized(chance: Any, width: int, height: int) -> Any:
    """Probabilities [channels, h, w] in another size."""
    return torch.nn.functional.interpolate(torch.from_numpy(chance)[None], (height, width), mode="bilinear", align_corners=False)[0].numpy()


def open_session(plan: PicturePlan, folder: RunFolder) -> PictureSession:
    """The session of a plan."""
    return PictureSession(plan, folder, Masks)
