"""What a model for pictures tells whoever uses it: probabilities instead of logits, ready to be read by a few lines without torch."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn


class Told(nn.Module):
    """Pixels [n, 3, height, width] in 0..255 -> what is told of them, one tensor for each of NAMES[task].

    classify: probabilities [n, classes] at the temperature that was chosen. segment: probabilities [n, 1, height, width] of the one
    class, or [n, 1 + classes, height, width] with the background first. detect: peaks [n, classes, h, w], 0 where a neighbouring spot is
    likelier, and sides [n, 4, h, w] in pixels, as loralab.runtimes.vision.heads.boxes has them.
    """

    def __init__(self, model: Any, task: str, temperature: float = 1.0) -> None:
        super().__init__()
        self.backbone, self.head = model.backbone, model.head
        self.task, self.temperature = task, temperature

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        said = self.head(self.backbone(pixels), tuple(pixels.shape[-2:]))
        if self.task == "classify":
            return ((said / self.temperature).softmax(1),)
        if self.task == "segment":
            return (said.sigmoid() if said.shape[1] == 1 else said.softmax(1),)
        chances = said.classes.sigmoid()
        return chances * (F.max_pool2d(chances, 3, 1, 1) == chances), said.sides


def told_names(task: str) -> tuple[str, ...]:
    """What the tensors are called."""
    return ("peaks", "sides") if task == "detect" else ("probabilities",)
