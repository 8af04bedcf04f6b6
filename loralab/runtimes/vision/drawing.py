"""Owns loading what draws, with its adapter as loud as is asked for.

Invariant: what an adapter's folder lacks is an error in words; loudness is put back whatever happens.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError
from safetensors.torch import load_file

from loralab.core.errors import UserError
from loralab.core.records import Record
from loralab.runtimes.vision.draws import SIDE, Draws
from loralab.runtimes.vision.sampling import GUIDANCE, STEPS, Pixels, sample, with_trigger

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


def load_drawer(base: Path, adapter: Path, *, merged: bool = False) -> tuple[Any, DrawCard]:
    """The model of an adapter on its base, in evaluation mode, with its card; `merged` into plain weights. Raises UserError."""
    card = read_card(adapter)
    try:
        tuned: Any = PeftModel.from_pretrained(load_base(base), str(adapter))  # type: ignore[arg-type]  # PEFT takes any module
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
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


def draw(
    model: Any,
    captions: Sequence[str],
    seeds: Sequence[int],
    *,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    stop: Callable[[], bool] | None = None,
) -> Pixels:
    """Pictures [n, side, side, 3] of captions, with or without an adapter around the model; see `sampling.sample`."""
    return sample(drawer(model), captions, seeds, steps=steps, guidance=guidance, stop=stop)
