"""Owns the loss at the top of a language model. Invariant: only positions that are learned from go through the (large) output matrix,
and the result equals the model's own loss; where a model does something of its own to its logits, its own forward pass is used.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

LOUD = 1000.0  # largest logit while a model is asked what it does to them; soft caps lie at 15 to 50
TILE = 1024  # rows of logits held at once: 620 MB at a vocabulary of 152 k, 33 MB on the starter


class TextHead:
    """Next-token loss of one causal language model. `plain` says whether its logits are output(hidden); None asks the model."""

    def __init__(self, model: PreTrainedModel, *, plain: bool | None = None) -> None:
        self.model = model
        self.body = model.base_model
        self.output: Any = model.get_output_embeddings()
        self.plain = self.output is not None and (self._logits_are_plain() if plain is None else plain)

    def loss(self, ids: Tensor, learned: Tensor) -> Tensor:
        """Summed loss over learned positions. `ids` [batch, length]; `learned` [batch, length] marks tokens to be predicted."""
        targets = ids[:, 1:][learned[:, 1:]]
        if not self.plain:
            logits = self.model(input_ids=ids, use_cache=False).logits[:, :-1][learned[:, 1:]]
            return F.cross_entropy(logits.float(), targets, reduction="sum")
        hidden = self.body(input_ids=ids, use_cache=False).last_hidden_state
        return cross_entropy_sum(hidden[:, :-1][learned[:, 1:]], targets, self.output)

    @torch.no_grad()
    def _logits_are_plain(self) -> bool:
        """Whether logits are just output(hidden): false for soft-capped or scaled ones. Asked of the model itself, not of its name.

        The output speaks loudly while the model is asked, because a soft cap hardly shows on quiet logits.
        """
        seen: list[tuple[Tensor, Tensor]] = []  # what went into the output layer and what it answered

        def amplify(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            louder = output * (LOUD / output.abs().max().clamp(min=1e-6))
            seen.append((inputs[0], louder))
            return louder

        ids = torch.arange(4, 12, device=self.model.device)[None] % self.model.config.get_text_config().vocab_size
        training, hook = self.model.training, self.output.register_forward_hook(amplify)
        self.model.eval()  # or dropout would make two passes differ
        try:
            own = self.model(input_ids=ids, use_cache=False).logits
            hidden = self.body(input_ids=ids, use_cache=False).last_hidden_state
        finally:
            hook.remove()
            self.model.train(training)
        return len(seen) == 1 and _same(seen[0][0], hidden) and _same(seen[0][1], own)


def cross_entropy_sum(hidden: Tensor, targets: Tensor, output: nn.Module) -> Tensor:
    """Summed loss of states `hidden` [n, H] predicting `targets` [n], in fp32 and in tiles, so that the peak is one tile of logits."""
    if len(targets) <= TILE:
        return _tile_loss(hidden, targets, output)
    tiles = zip(hidden.split(TILE), targets.split(TILE), strict=True)
    losses: list[Tensor] = [checkpoint(_tile_loss, h, t, output, use_reentrant=False) for h, t in tiles]  # type: ignore[misc]
    return torch.stack(losses).sum()


def _tile_loss(hidden: Tensor, targets: Tensor, output: nn.Module) -> Tensor:
    return F.cross_entropy(output(hidden).float(), targets, reduction="sum")


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a.float(), b.float(), rtol=1e-3, atol=1e-3)
