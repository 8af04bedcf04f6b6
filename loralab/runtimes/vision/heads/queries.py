"""Reads what a detector of the DETR family says: a score of each class and a box for each of its queries (Carion et al. 2020, arXiv
2005.12872). It has no weights: the network's own answer.

Invariant: a picture's loss stands for itself, so that a batch may be split anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from loralab.runtimes.vision.heads.boxes import Found

MOST = 300  # objects in a picture


class QueryHead(nn.Module):
    """`net`: the network whose loss it is; `size`: width and height of the input; `classes`: kinds of things."""

    def __init__(self, net: Any, size: tuple[int, int], classes: int) -> None:
        super().__init__()
        self._criterion, self._config, self.n_classes = net.loss_function, net.config, classes
        self.sides = (float(size[0]), float(size[1]), float(size[0]), float(size[1]))

    def loss(self, outputs: tuple[Tensor, ...], boxes: Sequence[Tensor], labels: Sequence[Tensor]) -> tuple[Tensor, int]:
        """Loss summed over the pictures, and their number. For each `boxes` [k, 4] in pixels of the input and `labels` [k]; k may be 0.

        Matching and loss are the network's own (Hungarian), one picture at a time; boxes without area teach nothing.
        """
        losses = [self._of_one(outputs, i, boxes[i], labels[i]) for i in range(len(boxes))]
        return torch.stack(losses).sum(), len(losses)

    def _of_one(self, outputs: tuple[Tensor, ...], i: int, boxes: Tensor, labels: Tensor) -> Tensor:
        kept = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        share = boxes[kept] / boxes.new_tensor(self.sides)
        middle = torch.cat(((share[:, :2] + share[:, 2:]) / 2, share[:, 2:] - share[:, :2]), 1)
        target = [{"class_labels": labels[kept], "boxes": middle}]
        classes, places, every, every_place, proposed, proposed_place, *more = outputs
        if more:  # D-FINE, whose layers lie in the second axis
            corners, begun = (one[i : i + 1] for one in more)
            given = [every[i : i + 1], every_place[i : i + 1], proposed[i : i + 1], proposed_place[i : i + 1]]
            names = {"predicted_corners": corners, "initial_reference_points": begun}
        else:
            given = [every[:, i : i + 1], every_place[:, i : i + 1], proposed[i : i + 1], proposed_place[i : i + 1]]
            names = {}
        return self._criterion(classes[i : i + 1], target, classes.device, places[i : i + 1], self._config, *given, **names)[0]

    @torch.no_grad()
    def predict(self, outputs: tuple[Tensor, ...], most: int = MOST, least: float = 0.05) -> list[Found]:
        """For each picture at most `most` objects whose score is at least `least`, best first; in pixels of the input."""
        scores, boxes = self.told(outputs[:2])
        return [found_of(scores[i].float(), boxes[i].float(), most, least) for i in range(len(scores))]

    def told(self, outputs: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Scores [n, queries, classes] in 0..1, and boxes [n, queries, 4] in pixels of the input."""
        places, sides = outputs[1], outputs[1].new_tensor(self.sides)
        half = places[..., 2:] / 2
        boxes = torch.cat((places[..., :2] - half, places[..., :2] + half), -1) * sides
        return outputs[0].sigmoid(), torch.minimum(boxes.clamp(min=0), sides)


def found_of(scores: Tensor, boxes: Tensor, most: int, least: float) -> Found:
    """The objects of one picture from scores [queries, classes] and boxes [queries, 4]."""
    best, where = scores.flatten().topk(min(most, scores.numel()))
    where, best = where[best >= least], best[best >= least]
    return boxes[where // scores.shape[1]], best, where % scores.shape[1]
