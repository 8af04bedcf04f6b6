"""Reads what a mask transformer says: for each of its queries how likely it is each class, and a mask (Cheng et al. 2021, arXiv
2107.06278). It has no weights: the network's own answer.

Invariants: a picture's loss stands for itself; what nobody labelled teaches nothing; the points that the loss is taken at do not depend on
what was computed before.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loralab.runtimes.vision.heads.masks import IGNORED

NOTHING = -20.0  # logit of a mask where nothing is to be learned: there it costs nothing whatever is right


class QueryMaskHead(nn.Module):
    """`net`: the network whose loss it is; `size`: width and height of the input; `classes`: besides the background, which is the first."""

    def __init__(self, net: Any, size: tuple[int, int], classes: int) -> None:
        super().__init__()
        self._loss = [net.get_loss_dict]  # in a list: its weights are the network's and no part of this
        self.n_classes, self.size = classes, (size[1], size[0])

    def loss(self, said: tuple[Tensor, ...], masks: Tensor, weights: Tensor | None = None) -> tuple[Tensor, int]:
        """Summed over the pictures, and their number: the network's own loss (matching, cross entropy, Dice) of every layer that answered.
        `masks` [n, H, W] int64: 0 is background, 1.. a class, IGNORED counts nowhere.
        """
        del weights
        pairs = list(zip(said[::2], said[1::2], strict=True))
        losses = [self._of_one(classes[i : i + 1], drawn[i : i + 1], masks[i]) for i in range(len(masks)) for classes, drawn in pairs]
        return torch.stack(losses).sum(), len(masks)

    def _of_one(self, classes: Tensor, drawn: Tensor, mask: Tensor) -> Tensor:
        known = mask != IGNORED
        kinds = [int(kind) for kind in mask[known].unique()]
        if not kinds:
            return 0.0 * (classes.sum() + drawn.sum())
        unknown = F.interpolate((~known)[None, None].float(), size=drawn.shape[-2:], mode="nearest") > 0
        given = {"mask_labels": [torch.stack([mask == kind for kind in kinds]).float()], "class_labels": [torch.tensor(kinds)]}
        given["class_labels"][0] = given["class_labels"][0].to(mask.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            parts = self._loss[0](torch.where(unknown, NOTHING, drawn), classes, **given, auxiliary_predictions=None)
        return torch.stack([part.reshape(()) for part in parts.values()]).sum()

    def probabilities(self, said: tuple[Tensor, ...]) -> Tensor:
        """[n, 1, H, W] of the one class, or [n, 1 + classes, H, W] with the background first."""
        classes, drawn = said[0].float().softmax(-1)[..., :-1], said[1].float().sigmoid()
        found = torch.einsum("nqc,nqhw->nchw", classes, drawn)
        found = F.interpolate(found, size=self.size, mode="bilinear", align_corners=False)
        found = found / found.sum(1, keepdim=True).clamp(min=1e-6)
        return found[:, 1:] if self.n_classes == 1 else found

    def predict(self, said: tuple[Tensor, ...], threshold: float = 0.5) -> Tensor:
        """Masks [n, H, W] uint8: 0 is background, 1.. a class."""
        chances = self.probabilities(said)
        return (chances[:, 0] >= threshold if self.n_classes == 1 else chances.argmax(1)).to(torch.uint8)
