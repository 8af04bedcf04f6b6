"""Owns loading what draws and drawing with it: base, adapter, seeds and words in, pixels out.

Invariant: the same weights, words, seed, steps and strength draw the same picture on one computer: noise is made by numpy from the seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file
from torch import Tensor

from loralab.core.errors import UserError
from loralab.core.records import Record
from loralab.runtimes.vision.draws import SIDE, Draws

WEIGHTS = "model.safetensors"
CARD = "drawing.json"  # in an adapter's folder: what the weights alone do not say
TARGETS = r".*(conv1|conv2|told|up\.short|q_proj|k_proj|v_proj|o_proj|word_k|word_v|together|enter|leave)"  # as PEFT matches whole names
STEPS, GUIDANCE = 20, 3.0  # of drawing: enough for straight paths, and how much more than without words the words count
Pixels = npt.NDArray[np.uint8]


class DrawCard(Record):
    """What has to be known of an adapter that was taught to draw: it lies beside its weights."""

    task: Literal["draw"] = "draw"
    trigger: str  # the word that stands for what was learned
    side: int = SIDE  # of its pictures, in pixels
    steps: int = STEPS
    guidance: float = GUIDANCE
    medical: bool = False  # learned from pictures of patients: not to be handed on

    def caption(self, words: str) -> str:
        """Words with the trigger word before them, where it is not among them."""
        return with_trigger(words, self.trigger)


def with_trigger(words: str, trigger: str) -> str:
    """A caption with the trigger word: in the place of “[trigger]”, else before it where it is not there yet."""
    if "[trigger]" in words:
        return " ".join(words.replace("[trigger]", trigger).split())
    known = trigger.casefold() in words.casefold().split() or not trigger
    return " ".join((words if known else f"{trigger} {words}").split())


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
    except (RuntimeError, ValueError, OSError) as error:
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


def load_drawer(base: Path, adapter: Path, *, merged: bool = False) -> tuple[Any, DrawCard]:
    """The model of an adapter on its base, in evaluation mode, with its card; `merged` into plain weights. Raises UserError."""
    card = read_card(adapter)
    try:
        tuned: Any = PeftModel.from_pretrained(load_base(base), str(adapter))  # type: ignore[arg-type]  # PEFT takes any module
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise UserError(f"This adapter cannot be loaded on its model: {error}", "Train it again.", code="bad_adapter") from error
    return laid_out(tuned.merge_and_unload() if merged else tuned).eval(), card


def drawer(model: Any) -> Draws:
    """The U-Net inside, with or without an adapter around it."""
    return model.get_base_model() if isinstance(model, PeftModel) else model  # type: ignore[return-value]


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


def noise(seed: int, side: int = SIDE) -> Tensor:
    """Standard normal noise [3, side, side] that follows from the seed alone, on every computer."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((3, side, side), dtype=np.float32))


@torch.no_grad()
def draw(
    model: Any,
    captions: Sequence[str],
    seeds: Sequence[int],
    *,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    stop: Callable[[], bool] | None = None,
) -> Pixels:
    """Pictures [n, side, side, 3] of captions, from the noise of their seeds, by Euler's method; stopped, none.

    Guidance without a classifier (Ho and Salimans 2022, arXiv 2207.12598): free + guidance * (told - free).
    """
    unet = drawer(model)
    where = next(unet.parameters()).device
    x = torch.stack([noise(seed) for seed in seeds]).to(where)
    told, free = unet.reader(captions), unet.reader([""] * len(captions))
    for i in range(steps):
        if stop is not None and stop():
            return np.zeros((0, SIDE, SIDE, 3), np.uint8)
        times = torch.full((len(captions),), 1 - i / steps, device=where)
        plain = unet.flow(x, times, free)
        x = x - (plain + guidance * (unet.flow(x, times, told) - plain)) / steps
    if not math.isfinite(float(x.sum())):
        raise UserError("What it draws is not a number any more.", "Train it again with a smaller learning rate.", code="broken_drawing")
    return ((x.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
