"""EfficientNet-Lite0 (Tan and Le 2019, arXiv 1905.11946, in its variant without squeeze-and-excite) as features at five scales.

Invariant: batch norms are folded into the convolutions before them when it is loaded, so that nothing moves that an adapter does not hold.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from loralab.core.errors import UserError

# repeats, kernel, stride, expansion, channels in, channels out
_FINE = ((1, 3, 1, 1, 32, 16), (2, 3, 2, 6, 16, 24), (2, 5, 2, 6, 24, 40), (3, 3, 2, 6, 40, 80))
STAGES = (*_FINE, (3, 5, 1, 6, 80, 112), (4, 5, 2, 6, 112, 192), (1, 3, 1, 6, 192, 320))
EPSILON = 1e-3  # of its batch norms
MEAN, SCALE = 127.0, 128.0  # pixels 0..255 become about -1..1
CHANNELS = (16, 24, 40, 112, 320)  # of the features at STRIDES
STRIDES = (2, 4, 8, 16, 32)
WEIGHTS = "model.safetensors"


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow does: at stride 2 the odd pixel goes to the right and the bottom."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (torch's word)
        kernel, stride = self.kernel_size[0], self.stride[0]
        if kernel == 1:
            return F.conv2d(input, self.weight, self.bias, self.stride)
        down, right = (max(0, (-(-size // stride) - 1) * stride + kernel - size) for size in input.shape[-2:])
        if down == right and down % 2 == 0:
            return F.conv2d(input, self.weight, self.bias, self.stride, down // 2, 1, self.groups)
        padded = F.pad(input, (right // 2, right - right // 2, down // 2, down - down // 2))
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, 1, self.groups)


class Block(nn.Module):
    """An inverted residual: widen, look around, narrow."""

    def __init__(self, kernel: int, stride: int, expansion: int, channels: int, out: int) -> None:
        super().__init__()
        wide = channels * expansion
        self.expand = SameConv(channels, wide, 1) if expansion > 1 else None
        self.depthwise = SameConv(wide, wide, kernel, stride, groups=wide)
        self.project = SameConv(wide, out, 1)
        self.adds = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        wide = F.relu6(self.expand(x)) if self.expand is not None else x
        out = self.project(F.relu6(self.depthwise(wide)))
        return out + x if self.adds else out


class Backbone(nn.Module):
    """Pixels [n, 3, height, width] in 0..255 -> features [n, CHANNELS[i], height / STRIDES[i], width / STRIDES[i]], finest first."""

    targets = r".*backbone\.blocks\.\d+\.(expand|project)"  # what an adapter sits beside, as PEFT matches names
    channels = CHANNELS

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, 32, 3, 2)
        blocks: list[Block] = []
        for repeats, kernel, stride, expansion, channels, out in STAGES:
            blocks += [Block(kernel, stride if i == 0 else 1, expansion, channels if i == 0 else out, out) for i in range(repeats)]
        self.blocks = nn.ModuleList(blocks)
        ends = [i for i in range(len(blocks)) if i + 1 == len(blocks) or blocks[i + 1].depthwise.stride[0] > 1]
        self.ends = frozenset(ends)  # blocks after which the picture gets smaller, whose output is a feature

    def forward(self, pixels: Tensor) -> list[Tensor]:
        x, found = F.relu6(self.stem((pixels - MEAN) / SCALE)), list[Tensor]()
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self.ends:
                found.append(x)
        return found


def load_backbone(folder: Path) -> Backbone:
    """The backbone in `folder` with its batch norms folded away, every weight frozen. Raises UserError where it is not there or damaged."""
    file = folder / WEIGHTS
    if not file.is_file():
        raise UserError(f"There is no picture model in {folder}.", "Take the starter for pictures.", code="not_downloaded")
    try:
        weights = {name: tensor.float() for name, tensor in load_file(file).items()}
        backbone = Backbone()
        _fill(backbone, weights)
    except (KeyError, RuntimeError, ValueError) as error:
        raise UserError(f"{file} is damaged: {error}", "Set LoRALab up again.", code="damaged") from error
    return backbone.requires_grad_(False).eval()


def _fill(backbone: Backbone, weights: dict[str, Tensor]) -> None:
    _take(backbone.stem, weights, "_conv_stem", "_bn0")
    blocks: list[Any] = list(backbone.blocks)
    for i, block in enumerate(blocks):
        name = f"_blocks.{i}"
        if block.expand is not None:
            _take(block.expand, weights, f"{name}._expand_conv", f"{name}._bn0")
        _take(block.depthwise, weights, f"{name}._depthwise_conv", f"{name}._bn1")
        _take(block.project, weights, f"{name}._project_conv", f"{name}._bn2")


@torch.no_grad()
def _take(conv: nn.Conv2d, weights: dict[str, Tensor], name: str, norm: str) -> None:
    """A convolution with the batch norm behind it: w' = w * gamma / sqrt(var + eps), b' = beta - mean * gamma / sqrt(var + eps)."""
    scale = weights[f"{norm}.weight"] / torch.sqrt(weights[f"{norm}.running_var"] + EPSILON)
    conv.weight.copy_(weights[f"{name}.weight"] * scale[:, None, None, None])
    conv.bias.copy_(weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale)  # type: ignore[union-attr]
