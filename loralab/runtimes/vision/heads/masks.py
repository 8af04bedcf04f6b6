"""A head that says for every pixel which class it is of: features of five scales, merged from the coarsest to the finest.

Invariant: nothing in it moves that an adapter does not hold. So its norms are group norms, which look at one picture at a time: a batch
norm's running means would move in training without being saved, and what a picture gives would depend on its neighbours in the batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

IGNORED = 255  # in a mask: a pixel nobody labelled, or one beside the picture
GROUPS = 8
WIDTHS = (32, 48, 48, 64, 64)  # channels of the decoder at each scale, finest first
FIRST_GUESS = -2.0  # logit of a foreground class before anything is learned: most pixels are background


class Merge(nn.Module):
    """One step finer: what came from the coarser scale, enlarged, and this scale's own features, mixed by a 3x3 convolution."""

    def __init__(self, own: int, coarser: int, out: int) -> None:
        super().__init__()
        self.own = nn.Conv2d(own, out, 1)
        self.coarser = nn.Conv2d(coarser, out, 1) if coarser else None
        self.norm = nn.GroupNorm(GROUPS, out)
        self.mix = nn.Conv2d(out, out, 3, padding=1)
        self.mixed = nn.GroupNorm(GROUPS, out)

    def forward(self, own: Tensor, coarser: Tensor | None) -> Tensor:
        x = self.own(own)
        if self.coarser is not None and coarser is not None:
            x = x + F.interpolate(self.coarser(coarser), size=own.shape[-2:], mode="bilinear", align_corners=False)
        return F.relu(self.mixed(self.mix(F.relu(self.norm(x)))))


class MaskHead(nn.Module):
    """Features [n, channels[i], h_i, w_i], finest first -> logits: [n, 1, H, W] for one class (sigmoid), [n, 1 + n_classes, H, W] for more
    (softmax, background first). `seed` gives its first weights: He et al. 2015 (arXiv 1502.01852), fan out.
    """

    def __init__(self, channels: Sequence[int], n_classes: int, seed: int = 0) -> None:
        super().__init__()
        self.n_classes = n_classes
        widths = (*WIDTHS[: len(channels)], 0)
        self.merges = nn.ModuleList(Merge(own, widths[i + 1], widths[i]) for i, own in enumerate(channels))
        self.out = nn.Conv2d(widths[0], 4 * (1 if n_classes == 1 else 1 + n_classes), 3, padding=1)
        self._begin(torch.Generator().manual_seed(seed))

    def forward(self, features: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """`size`: (H, W) of the logits, the picture's as the backbone was given it."""
        x: Tensor | None = None
        for merge, feature in zip(reversed(self.merges), reversed(features), strict=True):
            x = merge(feature, x)
        # Four logits for each place of the finest scale: twice its resolution for the price of once (Shi et al. 2016, arXiv 1609.05158).
        logits = F.pixel_shuffle(self.out(x), 2)
        if logits.shape[-2:] == size:
            return logits
        return F.interpolate(logits, size=size, mode="bilinear", align_corners=False)

    def loss(self, logits: Tensor, masks: Tensor, weights: Tensor | None = None) -> tuple[Tensor, int]:
        """Summed over the pictures, and their number: cross entropy of the labelled pixels plus one minus their soft Dice (Milletari et al.
        2016, arXiv 1606.04797). `masks` [n, H, W] int64: 0 is background, 1.. a class, IGNORED counts nowhere. `weights` [1 + n_classes]:
        how much a pixel of each counts, background first. Dice is taken of the classes a picture has: of one it lacks, any false pixel
        would cost as much as all of them, so those are told by the cross entropy alone. A picture without a labelled pixel costs nothing.
        """
        known = masks != IGNORED
        labels = masks.where(known, 0)
        each = torch.ones(1 + self.n_classes, device=logits.device) if weights is None else weights.to(logits.device, torch.float32)
        logits = logits.float()
        weight = each[labels] * known
        if self.n_classes == 1:
            entropy = F.binary_cross_entropy_with_logits(logits[:, 0], labels.to(logits.dtype), reduction="none")
        else:
            entropy = F.cross_entropy(logits, labels, reduction="none")
        entropy = (entropy * weight).sum((1, 2)) / weight.sum((1, 2)).clamp(min=1e-6)
        return (entropy + self._overlap(logits, labels, known, each[1:])).sum(), len(masks)

    def _overlap(self, logits: Tensor, labels: Tensor, known: Tensor, each: Tensor) -> Tensor:
        """One minus the soft Dice of each picture [n], a mean over the classes it has."""
        predicted = self.probabilities(logits)[:, -self.n_classes :] * known[:, None]
        real = torch.stack([labels == i for i in range(1, 1 + self.n_classes)], 1) & known[:, None]
        common = (predicted * real).sum((2, 3))
        area, total = real.sum((2, 3)), predicted.sum((2, 3))
        has = each * (area > 0)
        return (has * (1 - 2 * common / (area + total).clamp(min=1))).sum(1) / has.sum(1).clamp(min=1e-6)

    def probabilities(self, logits: Tensor) -> Tensor:
        """As many channels as the logits: of the class, or of background and each class."""
        return logits.sigmoid() if self.n_classes == 1 else logits.softmax(1)

    def predict(self, logits: Tensor, threshold: float = 0.5) -> Tensor:
        """Masks [n, H, W] uint8: 0 is background, 1.. a class. `threshold` is the probability from which a pixel is of the class, where
        there is one; of several the likeliest is taken.
        """
        if self.n_classes == 1:
            return (self.probabilities(logits)[:, 0] >= threshold).to(torch.uint8)
        return logits.argmax(1).to(torch.uint8)

    @torch.no_grad()
    def _begin(self, chance: torch.Generator) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=chance)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        self.out.weight.mul_(0.1)
        foreground = self.out.bias.view(-1, 4)[-self.n_classes :]  # type: ignore[union-attr]
        foreground.fill_(FIRST_GUESS)
