"""A backbone with a head: pixels in, the head's answer out; and loading both with what an adapter's folder says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from peft import PeftModel
from torch import Tensor, nn

from loralab.core.errors import UserError
from loralab.core.records import Record
from loralab.runtimes.vision.backbone import CHANNELS, MEAN, SCALE, load_backbone
from loralab.runtimes.vision.heads.boxes import BoxHead
from loralab.runtimes.vision.heads.classes import ClassHead
from loralab.runtimes.vision.heads.masks import MaskHead
from loralab.runtimes.vision.tokens import LAYOUTS, config_of, load_tokens
from loralab.runtimes.vision.whole import KINDS as WHOLE
from loralab.runtimes.vision.whole import Whole, load_whole

CARD = "pictures.json"  # in an adapter's folder: what the weights alone do not say


class PictureCard(Record):
    """What has to be known of a model that was trained on pictures to use it: it lies beside its weights."""

    task: Literal["classify", "segment", "detect"]
    labels: tuple[str, ...]
    width: int  # of its input, in pixels
    height: int
    dropout: float = 0.0
    threshold: float = 0.5  # of masks: from which probability on a pixel is marked; of boxes: from which score on one is shown
    unsure_below: float = 0.0  # of classes: below this the answer is “I do not know”
    temperature: float = 1.0  # by which logits of classes are divided
    fill: int = 127  # around a picture of another shape
    base: str = ""  # kind of the base, as its config.json says it; empty: the starter
    mean: tuple[float, ...] = (MEAN,)  # taken off each channel's pixels
    scale: tuple[float, ...] = (SCALE,)  # by which they are then divided
    medical: bool = False

    @property
    def own_head(self) -> bool:
        """Whether its base answers with a head of its own."""
        return self.base in WHOLE

    @property
    def size(self) -> tuple[int, int]:
        return self.width, self.height


class PictureModel(nn.Module):
    """Pixels [n, 3, height, width] in 0..255 -> what the head says. Memory is laid out channels last, which is twice as fast."""

    to_save = ("head",)  # modules that are learned anew and saved whole

    def __init__(self, backbone: Any, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    @property
    def targets(self) -> str:
        """What an adapter sits beside, as PEFT matches names."""
        return self.backbone.targets

    def forward(self, pixels: Tensor) -> Any:
        return self.head(self.features(pixels), tuple(pixels.shape[-2:]))

    def features(self, pixels: Tensor) -> list[Tensor]:
        return self.backbone(pixels.contiguous(memory_format=torch.channels_last))


def head_for(task: str, classes: int, seed: int = 0, dropout: float = 0.0, channels: Sequence[int] = CHANNELS) -> Any:
    """A fresh head for a kind of training on features of `channels`, whose first weights follow from the seed."""
    match task:
        case "classify":
            return ClassHead(channels, classes, seed, dropout)
        case "segment":
            return MaskHead(channels, classes, seed)
        case _:
            return BoxHead(channels, classes, seed)


def seeing_model(base: Path, task: str, classes: int, size: tuple[int, int], seed: int = 0, dropout: float = 0.0) -> Any:
    """The model in `base` for a kind of training: features with a fresh head of ours, or the network with its own head learned anew.

    `size`: width and height of its input in pixels. Raises UserError where it is not there, damaged, or cannot do that.
    """
    kind = str(config_of(base).get("model_type", ""))
    if kind in WHOLE:
        if WHOLE[kind].task != task:
            what = f"The model in {base.name} is for another kind of training on pictures."
            raise UserError(what, "Choose another model.", code="other_task")
        return load_whole(base, classes, size, seed)
    if kind and kind not in LAYOUTS:
        what = f"LoRALab cannot train this kind of model on pictures ({kind})."
        raise UserError(what, "Choose another model.", code="unknown_architecture")
    backbone: Any = load_tokens(base, size, pooled=task == "classify") if kind else load_backbone(base)
    return PictureModel(backbone, head_for(task, classes, seed, dropout, backbone.channels))


def prepared_by(model: Any) -> dict[str, Any]:
    """What a card says of how a model makes pixels ready, and what it is."""
    told = model if isinstance(model, Whole) else model.backbone
    if not hasattr(told, "mean"):
        return {}
    return {"base": told.kind, "mean": told.mean.flatten().tolist(), "scale": told.scale.flatten().tolist()}


def read_card(folder: Path) -> PictureCard:
    """What lies beside an adapter. Raises UserError where it is missing or damaged."""
    try:
        return PictureCard.model_validate_json((folder / CARD).read_bytes())
    except (OSError, ValueError) as error:
        what = "This is no model for pictures: the file that names its classes is missing or damaged."
        raise UserError(what, "Take a whole adapter folder.", code="no_picture_card") from error


def is_for_pictures(folder: Path) -> bool:
    """Whether an adapter's folder is of a model for pictures."""
    return (folder / CARD).is_file()


def load_trained(base: Path, adapter: Path, *, merged: bool = False) -> tuple[Any, PictureCard]:
    """The model of an adapter on its base, in evaluation mode, with its card; `merged` into plain weights.

    Raises UserError where one of them is missing or does not belong to the other.
    """
    card = read_card(adapter)
    model = seeing_model(base, card.task, len(card.labels), card.size, 0, card.dropout)
    try:
        tuned: Any = PeftModel.from_pretrained(model, str(adapter))
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise UserError(f"This adapter cannot be loaded on its model: {error}", "Train it again.", code="bad_adapter") from error
    found: Any = tuned.merge_and_unload() if merged else tuned
    return found.to(memory_format=torch.channels_last).eval(), card
