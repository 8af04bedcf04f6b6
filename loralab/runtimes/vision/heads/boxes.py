"""A head that finds objects: at every spot of a fine grid, how likely the middle of one of each class lies there, and where its sides are.

Objects as points after Zhou et al. 2019 (arXiv 1904.07850), learned from bells as wide as the object after Liu et al. 2019 (TTFNet, arXiv
1909.00700). Invariants: a picture's loss stands for itself, so that a batch may be split anywhere; nothing in it moves that an adapter does
not hold, so its norms are group norms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH = 64  # channels of the head
GROUPS = 8  # of a group norm
STRIDE = 4  # pixels from one spot of the grid to the next
BELL = 0.54  # share of an object's width and height over which its bell (three standard deviations to either side) reaches
NARROWEST = 0.3  # standard deviation of the narrowest bell, in spots
USUAL_SIDE = 32.0  # pixels from a spot to a side before anything is learned
FARTHEST = 4.5  # natural logarithm of how many times farther or nearer a side may be: 90 times
RARE = 0.01  # how likely an object is at a spot before anything is learned
SIDES_WEIGHT = 2.0  # of the loss of the sides against that of the classes
SAME = 0.6  # intersection over union from which two boxes of a class are one object


class Spots(NamedTuple):
    """What the head says of every spot of the grid."""

    classes: Tensor  # [n, classes, height / STRIDE, width / STRIDE] logits: the middle of an object lies here
    sides: Tensor  # [n, 4, height / STRIDE, width / STRIDE] pixels from here to the left, top, right and bottom side, above 0


Found = tuple[Tensor, Tensor, Tensor]  # boxes [k, 4] (left, top, right, bottom in pixels), scores [k] in 0..1, classes [k]; best first


class Mix(nn.Sequential):
    """Look around, normalise, bend."""

    def __init__(self, channels: int) -> None:
        norm = nn.GroupNorm(GROUPS, channels)
        super().__init__(nn.Conv2d(channels, channels, 3, padding=1, bias=False), norm, nn.SiLU())


class LightMix(nn.Sequential):
    """The same for a fifth of the work, as is needed where the grid is fine: each channel looks around for itself, then they are mixed."""

    def __init__(self, channels: int) -> None:
        norm = nn.GroupNorm(GROUPS, channels)
        around = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        super().__init__(around, nn.Conv2d(channels, channels, 1, bias=False), norm, nn.SiLU())


class TwoMixes(nn.Sequential):
    """Look further."""

    def __init__(self, channels: int) -> None:
        super().__init__(Mix(channels), Mix(channels))


class BoxHead(nn.Module):
    """Features [n, channels[i], h_i, w_i], finest (half the picture's size) first -> Spots. The finest is left out: it costs as much as all
    others and tells little. Coarse scales flow down into finer ones. `seed` gives the first weights.
    """

    def __init__(self, channels: Sequence[int], n_classes: int, seed: int = 0) -> None:
        super().__init__()
        self.n_classes = n_classes
        used = channels[1:]
        self.enter = nn.ModuleList(nn.Conv2d(own, WIDTH, 1) for own in used)
        self.even = nn.ModuleList(nn.GroupNorm(GROUPS, WIDTH) for _ in used)
        kinds = (LightMix, TwoMixes, *[Mix] * len(used))  # the finer the grid the dearer its mixing
        self.mix = nn.ModuleList(kinds[i](WIDTH) for i in range(len(used)))
        self.towers = nn.ModuleList((LightMix(WIDTH), LightMix(WIDTH)))
        self.classes = nn.Conv2d(WIDTH, n_classes, 1)
        self.sides = nn.Conv2d(WIDTH, 4, 1)
        self._begin(torch.Generator().manual_seed(seed))

    def forward(self, features: Sequence[Tensor], size: tuple[int, int] | None = None) -> Spots:  # noqa: ARG002  (as the other heads)
        """`size` (height, width of the picture in pixels, multiples of 32) follows from the features."""
        x: Tensor | None = None
        for i in reversed(range(len(self.enter))):
            entered = self.even[i](self.enter[i](features[i + 1]))
            x = entered if x is None else entered + F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = self.mix[i](x)
        scale = self.sides(self.towers[1](x)).clamp(-FARTHEST, FARTHEST)
        return Spots(self.classes(self.towers[0](x)), USUAL_SIDE * scale.exp())

    def loss(self, outputs: Spots, boxes: Sequence[Tensor], labels: Sequence[Tensor]) -> tuple[Tensor, int]:
        """Loss summed over the pictures, and their number. For each `boxes` [k, 4] in pixels of the input and `labels` [k]; k may be 0."""
        losses = [picture_loss(outputs.classes[i].float(), outputs.sides[i].float(), boxes[i], labels[i]) for i in range(len(boxes))]
        return torch.stack(losses).sum(), len(losses)

    @torch.no_grad()
    def predict(self, outputs: Spots, most: int = 300, least: float = 0.05) -> list[Found]:
        """For each picture at most `most` objects whose score is at least `least`, best first; one per object."""
        chances = outputs.classes.float().sigmoid()
        chances = chances * (F.max_pool2d(chances, 3, 1, 1) == chances)
        return [_found(chances[i], outputs.sides[i].float(), most, least) for i in range(len(chances))]

    @torch.no_grad()
    def _begin(self, chance: torch.Generator) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="linear", generator=chance)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        self.classes.weight.mul_(0.1)
        self.sides.weight.mul_(0.1)
        nn.init.constant_(self.classes.bias, -math.log(1 / RARE - 1))  # type: ignore[arg-type]


def picture_loss(classes: Tensor, sides: Tensor, boxes: Tensor, labels: Tensor) -> Tensor:
    """Loss of one picture per object: classes [c, h, w] logits and sides [4, h, w] against boxes [k, 4] and labels [k].

    Focal with fewer reproaches close to a middle (Zhou et al. 2019, eq. 1), and 1 - GIoU (Rezatofighi et al. 2019, arXiv 1902.09630) of the
    spots within a bell. Boxes without area teach nothing.
    """
    kept = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    boxes, labels = boxes[kept], labels[kept]
    bells = bells_of(boxes, classes.shape[1], classes.shape[2])
    target = torch.zeros_like(classes)
    if len(boxes):
        index = labels[:, None, None].expand_as(bells)
        target.scatter_reduce_(0, index, bells, "amax")
    chance = classes.sigmoid()
    middle = target == 1
    right = F.logsigmoid(classes) * (1 - chance) ** 2 * middle
    wrong = F.logsigmoid(-classes) * chance**2 * (1 - target) ** 4 * ~middle
    loss = -(right + wrong).sum()
    if len(boxes):
        loss = loss + SIDES_WEIGHT * _sides_loss(sides, boxes, bells)
    return loss / max(1, len(boxes))


def bells_of(boxes: Tensor, height: int, width: int) -> Tensor:
    """Bells [k, height, width], 1 at the spot nearest to the middle of each box and 0 beyond three standard deviations."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2 / STRIDE
    spread = ((boxes[:, 2:] - boxes[:, :2]) / STRIDE * BELL / 6).clamp(min=NARROWEST)
    parts: list[Tensor] = []
    for axis, length in ((0, width), (1, height)):
        spot = middle[:, axis].floor().clamp(0, length - 1)
        away = (torch.arange(length, device=boxes.device) - spot[:, None]) / spread[:, axis, None]
        parts.append(torch.exp(-(away**2) / 2) * (away.abs() <= 3))
    return parts[1][:, :, None] * parts[0][:, None, :]


def _sides_loss(sides: Tensor, boxes: Tensor, bells: Tensor) -> Tensor:
    """1 - GIoU summed over objects, each the mean of its spots weighted by its bell; what several claim is the smallest one's."""
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    smallest, owner = torch.where(bells > 0, area[:, None, None], torch.inf).min(0)
    row, column = torch.nonzero(torch.isfinite(smallest), as_tuple=True)
    own = owner[row, column]
    weight = bells[own, row, column]
    share = weight / torch.zeros_like(area).index_add_(0, own, weight)[own]
    guessed = boxes_of(sides[:, row, column].T, row, column)
    return (share * (1 - giou(guessed, boxes[own]))).sum()


def boxes_of(sides: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Boxes [k, 4] in pixels whose sides [k, 4] are seen from the middle of the spots at `row` [k] and `column` [k]."""
    here = (torch.stack((column, row), 1) + 0.5) * STRIDE
    return torch.cat((here - sides[:, :2], here + sides[:, 2:]), 1)


def giou(some: Tensor, others: Tensor) -> Tensor:
    """Generalised intersection over union [k] of boxes [k, 4] with boxes [k, 4], pair by pair: -1 far apart .. 1 the same."""
    shared = (torch.minimum(some[:, 2:], others[:, 2:]) - torch.maximum(some[:, :2], others[:, :2])).clamp(min=0).prod(1)
    whole = (some[:, 2:] - some[:, :2]).prod(1) + (others[:, 2:] - others[:, :2]).prod(1) - shared
    around = (torch.maximum(some[:, 2:], others[:, 2:]) - torch.minimum(some[:, :2], others[:, :2])).prod(1)
    return shared / whole - (around - whole) / around


def overlaps(boxes: Tensor) -> Tensor:
    """Intersection over union [k, k] of boxes [k, 4] with each other."""
    low, high = torch.maximum(boxes[:, None, :2], boxes[None, :, :2]), torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(2)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return shared / (area[:, None] + area[None, :] - shared).clamp(min=1e-6)


def _found(chances: Tensor, sides: Tensor, most: int, least: float) -> Found:
    """The objects of one picture, from peaks [c, h, w] and sides [4, h, w]."""
    height, width = chances.shape[1:]
    scores, where = chances.flatten().topk(min(most, chances.numel()))
    where = where[scores >= least]
    scores = scores[scores >= least]
    row, column = where % (height * width) // width, where % width
    labels = where // (height * width)
    boxes = boxes_of(sides[:, row, column].T, row, column)
    edge = torch.tensor([width, height, width, height], device=boxes.device) * STRIDE
    boxes = torch.minimum(boxes.clamp(min=0), edge)
    twins = (overlaps(boxes) > SAME) & (labels[:, None] == labels[None, :])
    kept = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    for i in range(len(boxes)):
        if kept[i]:
            kept[i + 1 :] &= ~twins[i, i + 1 :]
    return boxes[kept], scores[kept], labels[kept]
