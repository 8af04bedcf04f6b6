"""A head that says of a whole picture which class it is of: means and maxima of features at several scales, then one matrix.

Invariant: nothing in it moves that an adapter does not hold: what the features are scaled by is measured once, from what is learned, and is
saved with the weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SMOOTHING = 0.05  # of the labels (Szegedy et al. 2016, arXiv 1512.00567): some are wrong
SMALLEST = 1e-3  # spread of a feature that never changes


class ClassHead(nn.Module):
    """Features [n, channels[i], h_i, w_i], finest first -> logits [n, n_classes]. `seed` gives its first weights, which are zero but for
    chance of the size 0.01: before anything is learned all classes are about as likely.
    """

    center: Tensor
    spread: Tensor

    def __init__(self, channels: Sequence[int], n_classes: int, seed: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        width = channels[0] if len(channels) == 1 else sum(channels[1:]) + sum(channels[2:])
        self.out = nn.Linear(width, n_classes)
        self.dropout = dropout
        self.register_buffer("center", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))
        with torch.no_grad():
            self.out.weight.normal_(0.0, 0.01, generator=torch.Generator().manual_seed(seed))
            self.out.bias.zero_()

    @staticmethod
    def pooled(features: Sequence[Tensor]) -> Tensor:
        """What is kept of the features of a picture [n, width]: means at all but the finest scale, maxima at the coarser ones; one
        vector is kept whole.
        """
        if len(features) == 1:
            return features[0]
        return torch.cat([f.mean((2, 3)) for f in features[1:]] + [f.amax((2, 3)) for f in features[2:]], 1)

    def forward(self, features: Sequence[Tensor], size: tuple[int, int] | None = None) -> Tensor:  # noqa: ARG002  (as the other heads)
        """Logits of the features, or of what `pooled` kept of them, given as the only one of a list."""
        x = (self.pooled(features) - self.center) / self.spread
        return self.out(F.dropout(x, self.dropout, self.training))

    @torch.no_grad()
    def scale(self, pooled: Tensor) -> None:
        """Measure what the features [n, width] are scaled by."""
        self.center.copy_(pooled.mean(0))
        self.spread.copy_(pooled.std(0).clamp(min=SMALLEST))

    def loss(self, logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> tuple[Tensor, int]:
        """Cross entropy summed over the pictures, and their number; `weights` [n_classes]: how much a picture of each counts."""
        each = F.cross_entropy(logits.float(), labels, label_smoothing=SMOOTHING, reduction="none")
        return (each if weights is None else each * weights[labels]).sum(), len(labels)

    def predict(self, logits: Tensor) -> Tensor:
        """Probabilities [n, n_classes]."""
        return logits.float().softmax(1)
