"""Owns what was trained as a file must hold it: every weight of base plus adapter in fp32, and the same model with a file's numbers in it.

Invariant: weights come from the run's own files through PEFT, one at a time, and of nothing that an export wrote; a weight is asked for
before the file's takes its place.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from loralab.exports._merge import joined
from loralab.exports.gguf import lora
from loralab.models.tokenize import TextEncoder

POSITIONS = "inv_freq"  # of rotary embeddings: computed from the settings, and constants in a graph


class Trained:
    """Base plus adapter, as PEFT holds them on the processor, weight by weight under the names of the model's own files."""

    def __init__(self, model: Any, encoder: TextEncoder, adapter: Path | None = None) -> None:
        """`model` is used up: as its weights are exchanged it becomes the file's. `adapter`: the folder of the one it holds."""
        self.encoder = encoder
        settings = lora.settings_of(adapter) if adapter else {}
        if lora.refused(settings) or settings.get("target_parameters"):  # not only pairs of matrices: PEFT knows how
            model = joined(model)
        self._model: Any = model
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        self.positions = [value.detach() for name, value in base.named_buffers() if name.endswith(POSITIONS)]
        self.exact = next(base.parameters()).dtype.itemsize == 4
        self._layers = {f"{name}.weight": module for name, module in base.named_modules() if hasattr(module, "lora_A")}
        self._weights = {
            name.replace(".base_layer.", "."): value for name, value in base.state_dict(keep_vars=True).items() if ".lora_" not in name
        }
        self._delta: tuple[str, Any] = ("", None)
        self._put = False
        self._sums = [0.0, 0.0, 0.0, 0.0]  # of all changed weights: moved x learned, learned, moved, base, each squared
        self._part(base)
        self.config: dict[str, Any] = {**base.config.to_dict(), "tie_word_embeddings": bool(self._tied)}
        self.shape = {name: tuple(value.shape) for name, value in self._weights.items()}

    def _part(self, base: Any) -> None:
        """Find what is tied; give a head that learned something of its own a place of its own."""
        import torch

        embedding = base.get_input_embeddings()
        table = getattr(embedding, "base_layer", embedding).weight
        shared = [name for name, value in self._weights.items() if value.data_ptr() == table.data_ptr()]
        self._tied = set(shared[1:])  # the embedding itself comes first
        if not self._tied or not any(layer.weight is table for layer in map(_inner, self._layers.values())):
            return
        head = _inner(base.get_output_embeddings())
        head.weight = torch.nn.Parameter(head.weight.detach().clone(), requires_grad=False)
        for name in self._tied:
            self._weights[name] = head.weight
        self._tied = set()

    def names(self, *, tied: bool = False) -> tuple[str, ...]:
        """All weights that learn; a head that is the embedding only where `tied` is asked for."""
        return tuple(name for name, value in self._weights.items() if value.is_floating_point() and (tied or name not in self._tied))

    def bare(self) -> dict[str, Any]:
        """The base's own weights by name, as the model holds them."""
        return dict(self._weights)

    def learned(self) -> dict[str, Any]:
        """Weight -> what the adapter adds to it, one at a time; empty where PEFT had to merge."""
        return dict.fromkeys(self._layers)

    def delta(self, name: str) -> Any:
        """What the adapter adds to a weight, fp32; None where nothing."""
        if name not in self._layers:
            return None
        if self._delta[0] != name:
            layer = self._layers[name]
            self._delta = (name, sum(layer.get_delta_weight(active).detach().float() for active in layer.active_adapters))
        return self._delta[1]

    def weight(self, name: str) -> Any:
        """What was trained: a tensor in fp32."""
        found, more = self._weights[name].detach().float(), self.delta(name)
        return found if more is None else found + more

    def put(self, name: str, values: Any) -> None:
        """Let the file's number take the place of the trained one: `values` is fp32 in the model's own order."""
        self._put = True
        kept, more = self._weights[name], self.delta(name)
        if more is not None:
            base = kept.detach().float()
            moved = values - base
            pairs = ((moved, more), (more, more), (moved, moved), (base, base))
            self._sums = [total + float((a * b).sum()) for total, (a, b) in zip(self._sums, pairs, strict=True)]
        kept.data.copy_(values)

    def strength(self) -> dict[str, float]:
        """How much of what was learned is in the file's numbers (1: all of it), and how far they are from the base's, of their own size.

        Empty where there is nothing to tell it by.
        """
        found, learned, moved, base = self._sums
        if not learned or not base:
            return {}
        return {"adapter_in_file": found / learned, "away_from_base": math.sqrt(moved / base)}

    def with_the_files_numbers(self) -> Any:
        """The model in torch after everything was put in its place; where nothing was, as it was trained."""
        return self._model.unload() if self._put and self._layers else self._model


def _inner(layer: Any) -> Any:
    return getattr(layer, "base_layer", layer)
