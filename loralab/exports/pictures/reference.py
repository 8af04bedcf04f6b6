"""Owns what was trained on pictures, asked for its opinion: what every export is compared with.

Invariant: it is asked of base plus adapter as the run left them, in torch, and of nothing that was written for the export.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from loralab.datasets.images.geometry import Placement
from loralab.exports import Source
from loralab.exports.pictures.held import Held, heldout
from loralab.runtimes.vision.backbone import CHANNELS
from loralab.runtimes.vision.heads.boxes import BoxHead, Spots
from loralab.runtimes.vision.heads.queries import MOST, found_of
from loralab.runtimes.vision.picture_model import PictureCard, load_trained, read_card, seeing_model
from loralab.runtimes.vision.told import Told

Array = npt.NDArray[np.float32]
AT_ONCE = 4


@dataclass(frozen=True)
class Said:
    """What is told of pictures, one array for each of told_names(task); of things also how likely each spot is before peaks are kept."""

    outputs: tuple[Array, ...]
    heat: Array | None = None


@dataclass(frozen=True)
class Wanted:
    """What was trained. `bare`: what it says with its adapter switched off. `weights`: of base plus adapter in one, by name; `needed`:
    those that an answer depends on. `folder`: of the base.
    """

    card: PictureCard
    held: Held
    said: Said
    bare: Said
    weights: dict[str, Array]
    base: dict[str, Array]
    folder: Path
    idle: str = ""

    @property
    def needed(self) -> frozenset[str]:
        return frozenset(name for name in self.weights if not self.idle or not re.search(self.idle, name))

    def own(self, weights: Mapping[str, Array]) -> Said:
        """What torch says with a file's numbers in the place of the trained ones; of numbers of another shape the trained ones are kept."""
        model = _whole(self.folder, self.card, {name: weights.get(name, known) for name, known in self.weights.items()}, self.weights)
        return said(model, self.card, self.held.pixels)

    def strength(self, weights: Mapping[str, Array]) -> dict[str, float]:
        """How much of what the adapter learned is in a file's numbers (1: all of it); empty where there is nothing to tell it by."""
        found = learned = 0.0
        for name, base in self.base.items():
            there, more = weights.get(name), self.weights[name] - base
            if there is not None and there.shape == base.shape:
                found += float(((there - base) * more).sum())
                learned += float((more * more).sum())
        return {"adapter_in_file": found / learned} if learned and math.isfinite(found) else {}


def wanted_of(source: Source) -> Wanted:
    """Load base plus adapter and ask. Raises UserError where one of them is gone or damaged."""
    card = read_card(source.adapter)
    held = heldout(source, card)
    model, _ = load_trained(source.model, source.adapter)
    now = said(model.get_base_model(), card, held.pixels)
    with model.disable_adapter():
        bare = said(model.get_base_model(), card, held.pixels)
    merged, _ = load_trained(source.model, source.adapter, merged=True)
    fresh = seeing_model(source.model, card.task, len(card.labels), card.size)
    base = {f"backbone.{name}": value.numpy().copy() for name, value in fresh.backbone.state_dict().items()}
    return Wanted(card, held, now, bare, weights_of(merged), base, source.model, getattr(fresh, "idle", ""))


def weights_of(model: Any) -> dict[str, Array]:
    """All numbers of a whole model by name."""
    return {name: np.array(value.detach().float().numpy(), order="C") for name, value in model.state_dict().items()}


def _whole(folder: Path, card: PictureCard, weights: Mapping[str, Array], shapes: Mapping[str, Array]) -> Any:
    import torch

    model = seeing_model(folder, card.task, len(card.labels), card.size)
    fitting = {name: value if value.shape == shapes[name].shape else shapes[name] for name, value in weights.items()}
    model.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in fitting.items()})
    return model.eval()


def said(model: Any, card: PictureCard, pixels: npt.NDArray[np.uint8]) -> Said:
    """What a model tells of pictures [n, height, width, 3]."""
    import torch

    told = Told(model, card.task, card.temperature).eval()
    parts: list[tuple[Array, ...]] = []
    heats: list[Array] = []
    for start in range(0, len(pixels), AT_ONCE):
        given = torch.from_numpy(pixels[start : start + AT_ONCE]).permute(0, 3, 1, 2).float()
        with torch.no_grad():
            parts.append(tuple(one.numpy() for one in told(given)))
            if card.task == "detect" and not card.own_head:
                heats.append(told.head(told.backbone(given)).classes.sigmoid().numpy())
    outputs = tuple(np.concatenate(of) for of in zip(*parts, strict=True))
    return Said(outputs, np.concatenate(heats) if heats else None)


def answer(card: PictureCard, said: Said, i: int, place: Placement) -> dict[str, Any]:
    """What the i-th picture is said to show, in its own pixels, as the program beside an export says it."""
    import torch

    if card.task == "classify":
        chances = said.outputs[0][i]
        best = int(chances.argmax())
        found = {label: float(chance) for label, chance in zip(card.labels, chances, strict=True)}
        return {"label": card.labels[best], "unsure": bool(chances[best] < card.unsure_below), "probabilities": found}
    if card.task == "segment":
        own = place.map_to_picture(said.outputs[0][i])
        mask = own[0] >= card.threshold if len(own) == 1 else own.argmax(0)
        return {"mask": mask.astype(np.uint8)}
    if card.own_head:
        scores, places = (torch.from_numpy(one[i]) for one in said.outputs)
        boxes, best, kinds = found_of(scores, places, MOST, card.threshold)
        every = zip(place.to_picture(boxes.numpy()).tolist(), best.tolist(), kinds.tolist(), strict=True)
        return {"things": [{"label": card.labels[kind], "score": score, "box": box} for box, score, kind in every]}
    spots = Spots(torch.logit(torch.from_numpy(said.outputs[0][i : i + 1])), torch.from_numpy(said.outputs[1][i : i + 1]))
    boxes, scores, kinds = BoxHead(CHANNELS, len(card.labels)).predict(spots, least=card.threshold)[0]
    every = zip(place.to_picture(boxes.numpy()).tolist(), scores.tolist(), kinds.tolist(), strict=True)
    return {"things": [{"label": card.labels[kind], "score": score, "box": box} for box, score, kind in every]}
