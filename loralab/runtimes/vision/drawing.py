"""Owns loading what draws, with its adapter as loud as is asked for.

Invariant: what an adapter's folder lacks is an error in words; loudness is put back whatever happens.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from loralab.core.errors import UserError
from loralab.core.records import Precision, Record
from loralab.runtimes.base_model import device
from loralab.runtimes.vision.diffusion.opened import INDEX, open_diffusion
from loralab.runtimes.vision.draws import SIDE, Draws
from loralab.runtimes.vision.painter import How, Painter, Pixels
from loralab.runtimes.vision.sampling import GUIDANCE, STEPS, sample, with_trigger

WEIGHTS = "model.safetensors"
CARD = "drawing.json"  # in an adapter's folder: what the weights alone do not say
TARGETS = r".*(conv1|conv2|told|up\.short|q_proj|k_proj|v_proj|o_proj|word_k|word_v|together|enter|leave)"  # as PEFT matches whole names


class DrawCard(Record):
    """What has to be known of an adapter that was taught to draw: it lies beside its weights."""

    task: Literal["draw"] = "draw"
    trigger: str  # the word that stands for what was learned
    side: int = SIDE  # of its pictures, in pixels
    steps: int = STEPS
    guidance: float = GUIDANCE
    precision: Precision = "fp32"  # that the base is held in
    medical: bool = False  # learned from pictures of patients: not to be handed on

    def caption(self, words: str) -> str:
        """Words with the trigger word before them, where it is not among them."""
        return with_trigger(words, self.trigger)


def without_trigger(words: str, trigger: str) -> str:
    """The same caption for a model that never learned the trigger word."""
    return " ".join(word for word in words.replace("[trigger]", " ").split() if word.casefold() != trigger.casefold())


def load_base(folder: Path) -> Draws:
    """The base in `folder`, every weight frozen, in fp32. Raises UserError where it is not there or damaged."""
    file = folder / WEIGHTS
    if not file.is_file():
        raise UserError(f"There is no model that draws in {folder}.", "Take the starter that draws.", code="not_downloaded")
    model = Draws()
    try:
        model.load_state_dict({name: tensor.float() for name, tensor in load_file(file).items()})
    except (SafetensorError, RuntimeError, ValueError, OSError) as error:
        raise UserError(f"{file} is damaged: {error}", "Set LoRALab up again.", code="damaged") from error
    return laid_out(model.requires_grad_(False)).eval()


def laid_out(model: Any) -> Any:
    """The same model with memory laid out channels last, which is quicker on processors."""
    return model.to(memory_format=torch.channels_last)


def read_card(folder: Path) -> DrawCard:
    """What lies beside an adapter. Raises UserError where it is missing or damaged."""
    try:
        return DrawCard.model_validate_json((folder / CARD).read_bytes())
    except (OSError, ValueError) as error:
        what = "This is no adapter that draws: the file that names its trigger word is missing or damaged."
        raise UserError(what, "Take a whole adapter folder.", code="no_drawing_card") from error


class Starter:
    """The starter as a painter: it works on pictures themselves, in one size."""

    targets, step, side, even = TARGETS, 0, SIDE, False

    def __init__(self, net: Draws) -> None:
        self.net: Any = net

    def read(self, captions: Sequence[str]) -> None:
        """It reads them as it draws."""

    def forget(self) -> None:
        """Its reader is a part of it."""

    def canvas(self, pixels: Pixels) -> Tensor:
        """The picture itself, of -1..1."""
        return torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32) / 127.5 - 1)

    def wrong(self, clean: Tensor, noise: Tensor, times: Tensor, captions: Sequence[str]) -> Tensor:
        """See Painter."""
        said = self.net(torch.lerp(clean, noise, times[:, None, None, None]), times, captions)
        return (said - (noise - clean)).float().pow(2).flatten(1).mean(1)

    def draw(self, captions: Sequence[str], seeds: Sequence[int], how: How, stop: Callable[[], bool] | None = None) -> Pixels:
        """See Painter."""
        return sample(self.net, captions, seeds, steps=how.steps, guidance=how.guidance, stop=stop)


def open_painter(folder: Path, where: torch.device | None = None, precision: str = "fp32", keep: Path | None = None) -> Painter:
    """The base in `folder`, every weight frozen. `keep`: where what is computed once is kept. Raises UserError, or Unavailable without the
    part it needs.
    """
    where = where or device()
    return open_diffusion(folder, where, precision, keep) if (folder / INDEX).is_file() else Starter(load_base(folder).to(where))


def load_drawer(base: Path, adapter: Path, *, merged: bool = False) -> tuple[Painter, DrawCard]:
    """The painter of an adapter on its base, in evaluation mode, with its card; `merged` into plain weights. Raises UserError."""
    card = read_card(adapter)
    painter = open_painter(base, precision=card.precision)
    try:
        tuned: Any = PeftModel.from_pretrained(painter.net, str(adapter))
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        raise UserError(f"This adapter cannot be loaded on its model: {error}", "Train it again.", code="bad_adapter") from error
    if merged:
        painter.net = tuned.merge_and_unload()
    if isinstance(painter, Starter):
        painter.net = laid_out(painter.net)
    painter.net.eval()
    return painter, card


@contextmanager
def louder(model: Any, strength: float) -> Generator[None]:
    """The adapter counts `strength` times what was learned, for a while; 0 is the base."""
    layers = [module for module in model.modules() if isinstance(module, LoraLayer)]
    kept = [dict(layer.scaling) for layer in layers]
    for layer in layers:
        for name in layer.scaling:
            layer.scaling[name] *= strength
    try:
        yield
    finally:
        for layer, scaling in zip(layers, kept, strict=True):
            layer.scaling.update(scaling)
