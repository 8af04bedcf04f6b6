"""Owns a trained model that looks at single pictures: with its adapter, and as the quick look left it.

Invariant: what is said is in the picture's own pixels, by the threshold, the temperature and the classes that lie beside the weights.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from peft.tuners.lora import LoraLayer
from PIL import Image
from safetensors.torch import load_file

from loralab.core.errors import UserError
from loralab.datasets.images.views import seen
from loralab.runtimes.vision.picture_model import load_trained
from loralab.runtimes.vision.saliency import saliency

QUICK_LOOK = "quick_look.safetensors"  # beside the adapter's folder: the head as the quick look left it

Mask = npt.NDArray[np.uint8]


class Eye:
    """The model of an adapter's folder on its base. Raises UserError where one of them is missing or damaged."""

    def __init__(self, base: Path, adapter: Path) -> None:
        self.model, self.card = load_trained(base, adapter)
        first = adapter.parent / QUICK_LOOK
        self.knows_before = first.is_file()
        if self.knows_before:  # PEFT puts this head in the place of the trained one where its adapter is switched off
            self._head.original_module.load_state_dict(load_file(first))

    @property
    def _head(self) -> Any:
        return self.model.get_base_model().head

    def look(self, opened: Image.Image, *, trained: bool = True) -> tuple[dict[str, Any], Mask | None]:
        """Chances of the classes, or boxes as (class, [left, top, right, bottom], how sure), or a mask [height, width] of classes.

        With `trained` False as the quick look left it; of a run without one, with the adapter switched off and the trained head.
        """
        with contextlib.nullcontext() if trained else self._before():
            shown = seen(opened, self.card.size)
            with torch.inference_mode():
                said = self.model(torch.from_numpy(shown.pixels[None]).permute(0, 3, 1, 2).float())
                return self._told(said, shown.place)

    def why(self, opened: Image.Image) -> tuple[str, Mask]:
        """The class that is said of a picture, and how much each of its pixels speaks for it [height, width], 0 to 255.

        Raises UserError where the answer is not of the picture as a whole, or does not depend on places.
        """
        if self.card.task != "classify":
            raise UserError("What it marks is drawn already.", "Look at the drawing.", code="no_saliency")
        shown = seen(opened, self.card.size)
        pixels = torch.from_numpy(shown.pixels[None]).permute(0, 3, 1, 2).float()
        model = self.model.get_base_model()
        with torch.inference_mode():
            kind = int(self.model(pixels).argmax(1)[0])
        heat = saliency(model.features, model.head, pixels, kind)
        if not heat.any():
            raise UserError("Of this model it cannot be shown where it looks.", "Look at its answer.", code="no_saliency")
        own = shown.place.map_to_picture(heat[None].numpy())[0]
        return self.card.labels[kind], np.rint(255 * own.clip(0, 1)).astype(np.uint8)

    def _told(self, said: Any, place: Any) -> tuple[dict[str, Any], Mask | None]:
        card = self.card
        match card.task:
            case "classify":
                return {"chances": torch.softmax(said.float()[0] / card.temperature, 0).tolist()}, None
            case "segment":
                chance: Any = place.map_to_picture(self._head.probabilities(said).float().numpy()[0])
                return {}, (chance[0] >= card.threshold if len(card.labels) == 1 else chance.argmax(0)).astype(np.uint8)
            case _:
                boxes, scores, kinds = self._head.predict(said)[0]
                found = zip(kinds.tolist(), place.to_picture(boxes.numpy()).tolist(), scores.tolist(), strict=True)
                return {"boxes": [(card.labels[kind], box, sure) for kind, box, sure in found if sure >= card.threshold]}, None

    @contextlib.contextmanager
    def _before(self) -> Generator[None]:
        if self.knows_before:
            with self.model.disable_adapter():
                yield
            return
        layers = [layer for layer in self.model.modules() if isinstance(layer, LoraLayer)]
        for layer in layers:
            layer.enable_adapters(enabled=False)
        try:
            yield
        finally:
            for layer in layers:
                layer.enable_adapters(enabled=True)
