"""Owns what a base that draws gives to whoever teaches it or draws with it, whatever it is made of.

Invariant: an adapter goes into the layers of `net` itself, so that a painter draws and errs with it as soon as it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

Pixels = npt.NDArray[np.uint8]


class How(NamedTuple):
    """How a picture is drawn: steps from noise to picture, how strictly words are followed, width and height in pixels."""

    steps: int
    guidance: float
    size: tuple[int, int]


class Painter(Protocol):
    """A base that draws. What it works on is a canvas [c, h, w]: the picture itself, or what stands for it in fewer numbers."""

    net: Any  # the module an adapter goes into

    @property
    def targets(self) -> str:
        """Names of the layers that learn, as PEFT matches whole names."""
        ...

    @property
    def step(self) -> int:
        """Sides of its pictures are multiples of this; 0: it knows one size alone."""
        ...

    @property
    def side(self) -> int:
        """Pixels of a side of the pictures it draws best, or of all it can draw."""
        ...

    @property
    def even(self) -> bool:
        """Whether times are drawn evenly; else most in the middle."""
        ...

    def read(self, captions: Sequence[str]) -> None:
        """Have captions ready. What is not ready is read when it is needed, as long as nothing was forgotten."""
        ...

    def forget(self) -> None:
        """Let go of what reads captions: only those that are ready can be drawn from now on."""
        ...

    def canvas(self, pixels: Pixels) -> Tensor:
        """A picture [height, width, 3] as it is worked on, on the processor, in fp32."""
        ...

    def wrong(self, clean: Tensor, noise: Tensor, times: Tensor, captions: Sequence[str]) -> Tensor:
        """Of each canvas [m]: mean square of what it says wrong of canvases [m, c, h, w] under noise [m, c, h, w] at times [m] of 0..1."""
        ...

    def draw(self, captions: Sequence[str], seeds: Sequence[int], how: How, stop: Callable[[], bool] | None = None) -> Pixels:
        """Pictures [n, height, width, 3] of captions, from the noise of their seeds; stopped, none."""
        ...
