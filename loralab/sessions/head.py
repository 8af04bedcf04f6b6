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

from loralab.core.records import Recompute
from loralab.runtimes.squeezed_base import Tall
from loralab.sessions.fast.bodies import by_hand
from loralab.sessions.fast.loss import TargetLosses, Tiles
from loralab.sessions.fast.packing import pack
from loralab.sessions.recompute import set_mode

LOUD = 1000.0  # largest logit while a model is asked what it does to them; soft caps lie at 15 to 50
TILE = 1024  # rows of logits held at once: 620 MB at a vocabulary of 152 k, 33 MB on the starter


class TextHead:
    """Next-token loss of one causal language model. `plain` says whether its logits are output(hidden); None asks the model."""

    def __init__(self, model: PreTrainedModel, *, plain: bool | None = None) -> None:
        self.model = model
        self.body = model.base_model
        self.output: Any = model.get_output_embeddings()
        self.plain = self.output is not None and (self._logits_are_plain() if plain is None else plain)
        self.by_hand = by_hand(model) if self.plain else None
        self.top: Any = nn.Identity() if self.plain else self.output  # what goes into the output matrix passes here, for who watches
        self.tiles = Tiles()

    def set_mode(self, mode: Recompute, rank: int) -> None:
        """What is kept for the way back, see loralab.sessions.recompute."""
        set_mode(self.model, mode, rank)
        if self.by_hand is not None:
            self.by_hand.recompute = mode

    def loss(self, ids: Tensor, learned: Tensor) -> Tensor:
        """Summed loss over learned positions. `ids` [batch, length]; `learned` [batch, length] marks tokens to be predicted."""
        return self.losses(ids, learned).sum()

    def row_losses(self, ids: Tensor, learned: Tensor) -> Tensor:
        """The same, summed over each row alone: [batch] in fp32."""
        rows, _ = learned[:, 1:].nonzero(as_tuple=True)
        losses = self.losses(ids, learned)
        return torch.zeros(len(ids), device=losses.device).index_add(0, rows, losses)

    def losses(self, ids: Tensor, learned: Tensor) -> Tensor:
        """The same for each learned position alone, in the order of reading: [n] in fp32."""
        targets = ids[:, 1:][learned[:, 1:]]
        if not self.plain:
            logits = self.model(input_ids=ids, use_cache=False).logits[:, :-1][learned[:, 1:]]
            return F.cross_entropy(logits.float(), targets, reduction="none")
        states, sources = self._states(ids, learned)
        if not _is_frozen_matrix(self.output, states):
            return cross_entropies(states.index_select(0, sources), targets, self.output)
        return TargetLosses.apply(states, sources, targets, self.output.weight, self.tiles)  # type: ignore[no-any-return]

    def logits(self, ids: Tensor, learned: Tensor) -> Tensor:
        """What is expected at each learned position, in the order of reading: [n, V] in fp32."""
        if not self.plain:
            return self.model(input_ids=ids, use_cache=False).logits[:, :-1][learned[:, 1:]].float()
        states, sources = self._states(ids, learned)
        states = states.index_select(0, sources)
        if not _is_frozen_matrix(self.output, states):
            return self.output(states).float()
        return torch.cat([(states @ matrix.t()).float() for _, matrix in self.tiles.blocks(self.output.weight, states)], 1)

    def _states(self, ids: Tensor, learned: Tensor) -> tuple[Tensor, Tensor]:
        """What goes into the output matrix, [T, H], and which of them predicts each learned token, in the order of reading: [n]."""
        if self.by_hand is not None and not (self.model.training and self.by_hand.drops_out):
            packed, sources = pack(ids, learned).asked(learned)
            states = self.by_hand.states(packed)
        else:
            hidden = self.body(input_ids=ids, use_cache=False).last_hidden_state
            states = hidden[:, :-1][learned[:, 1:]]
            sources = torch.arange(len(states), device=ids.device)
        return self.top(states), sources

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


def cross_entropies(hidden: Tensor, targets: Tensor, output: nn.Module) -> Tensor:
    """Losses [n] of states `hidden` [n, H] predicting `targets` [n], in fp32 and in tiles, for an output layer that learns or adds."""
    if len(targets) <= TILE:
        return _tile_losses(hidden, targets, output)
    tiles = zip(hidden.split(TILE), targets.split(TILE), strict=True)
    return torch.cat([checkpoint(_tile_losses, h, t, output, use_reentrant=False) for h, t in tiles])  # type: ignore[misc]


def _tile_losses(hidden: Tensor, targets: Tensor, output: nn.Module) -> Tensor:
    return F.cross_entropy(output(hidden).float(), targets, reduction="none")


def _is_frozen_matrix(output: Any, states: Tensor) -> bool:
    """Whether the output layer is one matrix that does not learn, and no wider than what goes in."""
    if type(output) not in (nn.Linear, Tall) or output.bias is not None or output.weight.requires_grad:
        return False
    return output.weight.dtype == states.dtype or (states.dtype == torch.float32 and output.weight.dtype in (torch.bfloat16, torch.float16))


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a.float(), b.float(), rtol=1e-3, atol=1e-3)
