"""What a model for pictures tells whoever uses it: probabilities instead of logits, ready to be read by a few lines without torch."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn


class Told(nn.Module):
    """Pixels [n, 3, height, width] in 0..255 -> what is told of them, one tensor for each of told_names.

    classify: probabilities [n, classes] at the temperature that was chosen. segment: probabilities [n, 1, height, width] of the one
    class, or [n, 1 + classes, height, width] with the background first. detect: peaks [n, classes, h, w], 0 where a neighbouring spot is
    likelier, and sides [n, 4, h, w] in pixels, as loralab.runtimes.vision.heads.boxes has them; of a network with a head of its own
    scores [n, queries, classes] and boxes [n, queries, 4]: left, top, right, bottom in pixels.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, model: Any, task: str, temperature: float = 1.0) -> None:
        super().__init__()
        self.backbone, self.head = model.backbone, model.head
        self.task, self.temperature = task, temperature
        self.look = getattr(model, "look", None)  # of a network with a head of its own
        if self.look is not None:
            self.register_buffer("mean", model.mean, persistent=False)
            self.register_buffer("scale", model.scale, persistent=False)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        if self.look is not None:
            said = self.look(self.backbone, (pixels - self.mean) / self.scale)
        else:
            said = self.head(self.backbone(pixels), tuple(pixels.shape[-2:]))
        if self.task == "classify":
            return ((said / self.temperature).softmax(1),)
        if self.task == "segment":
            return (self.head.probabilities(said),)
        if self.look is not None:
            return self.head.told(said)
        chances = said.classes.sigmoid()
        return chances * (F.max_pool2d(chances, 3, 1, 1) == chances), said.sides


def told_names(task: str, *, own_head: bool = False) -> tuple[str, ...]:
    """What the tensors are called."""
    if task != "detect":
        return ("probabilities",)
    return ("scores", "boxes") if own_head else ("peaks", "sides")
