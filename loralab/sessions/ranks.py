"""Ranks that change while an adapter learns: growing by stages, or moving to the parts that make use of them.

Invariants: a part that grows computes what it did before (its new columns are zero) and keeps the optimiser's notes; the adapter never
holds more numbers than the plan's rank gives every part alike; what is decided follows from weights, notes and the update alone, so a
resumed run is the unbroken one. A state carries its ranks in its shapes, whichever it is: newest, best, or one gone back to.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any
from zlib import crc32

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from loralab.tasks.text import TextPlan

CHANGING = ("progressive", "adaptive")  # strategies under which a part's rank is not the plan's
NAME = "default"  # of the adapter, as PEFT calls the only one
STAGES = ((0.0, 0.25), (0.25, 0.5), (0.5, 1.0))  # share of the run -> share of the plan's rank: progressive
MOVES = (0.1, 0.2, 0.3, 0.4, 0.5)  # shares of the updates after which ranks may move: adaptive; the second half settles what they are
AT_ONCE = 0.1  # of all ranks, at most, in one move
LEAST = 0.25  # of the plan's rank, which every part keeps
WORTH = 2.0  # times: what a rank must be worth more where it goes than where it comes from


def layers(model: nn.Module) -> dict[str, Any]:
    """Name in the base -> the part with its two matrices `lora_A` [rank, in] and `lora_B` [out, rank]."""
    base: Any = model.get_base_model()  # type: ignore[operator]  (PEFT's)
    return {name: module for name, module in base.named_modules() if isinstance(module, LoraLayer) and NAME in module.lora_A}


def begin(model: nn.Module, plan: TextPlan) -> None:
    """The ranks of a fresh adapter, before its first update."""
    if plan.rank_schedule == "progressive":
        for name, layer in layers(model).items():
            resize(layer, due(plan, 0.0), name, plan.seed)


def due(plan: TextPlan, fraction: float) -> int:
    """The rank of every part after a share (0..1) of a run that grows."""
    share = max(part for begun, part in STAGES if fraction >= begun)
    return max(1, math.ceil(plan.rank * share))


def grow(model: nn.Module, plan: TextPlan, fraction: float, optimizer: Any) -> str:
    """Give every part the rank that is due; what happened in words, empty where nothing did."""
    wanted, grown = due(plan, fraction), False
    for name, layer in layers(model).items():
        if layer.r[NAME] < wanted:
            resize(layer, wanted, name, plan.seed, optimizer)
            grown = True
    return f"The adapter has grown to rank {wanted}; it says what it said before." if grown else ""


def is_move(step: int, total: int) -> bool:
    """Whether ranks may move before the update after `step` of `total`."""
    return step in {max(1, round(share * total)) for share in MOVES}


# ---- shapes ----------------------------------------------------------------------------------------------------------------


@torch.no_grad()
def resize(layer: Any, rank: int, name: str, seed: int, optimizer: Any = None) -> None:
    """Let a part have `rank`: first rows are kept, new ones drawn as PEFT draws them, new columns zero; the scale stays as it is.

    The tensors stay the same objects. With `optimizer`, notes of the kept part are kept.
    """
    now, a, b = layer.r[NAME], layer.lora_A[NAME].weight, layer.lora_B[NAME].weight
    if rank == now:
        return
    drawn = torch.empty(max(0, rank - now), a.shape[1])
    random = torch.Generator().manual_seed((seed << 32 | crc32(f"{name} {now} {rank}".encode())) % (1 << 63))
    nn.init.kaiming_uniform_(drawn, a=math.sqrt(5), generator=random) if len(drawn) else None
    _take(a, torch.cat([a[:rank], drawn.to(a)]), optimizer)
    _take(b, torch.cat([b[:, :rank], b.new_zeros(b.shape[0], max(0, rank - now))], 1), optimizer)
    _rank(layer, rank)


def _rank(layer: Any, rank: int) -> None:
    layer.r[NAME] = rank
    layer.lora_A[NAME].out_features = layer.lora_B[NAME].in_features = rank


def _take(parameter: Tensor, value: Tensor, optimizer: Any = None) -> None:
    """Another value of another shape for a tensor. Notes of it grow by what the optimiser would have noted of numbers that never moved."""
    old = parameter.shape
    parameter.data = value.contiguous()
    parameter.grad = None
    for part in optimizer.parts if optimizer else ():
        notes = part.state.get(parameter)
        if not notes:
            continue
        if any(isinstance(note, Tensor) and note.dim() and (note.shape != old or not note.is_floating_point()) for note in notes.values()):
            del part.state[parameter]  # squeezed notes, in blocks that no longer are where they were
            continue
        for key, note in notes.items():
            if isinstance(note, Tensor) and note.dim():
                grown = value.to(note).clone() if key == "z" else note.new_zeros(value.shape)  # z: the weights that an average is made of
                kept = tuple(slice(0, min(a, b)) for a, b in zip(old, value.shape, strict=True))
                grown[kept] = note[kept]
                notes[key] = grown


def take_shapes(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give every part the rank that it has in a state, whose tensors are named as the model's or as in an adapter's file."""
    ranks = {name: len(tensor) for name, tensor in state.items() if ".lora_A." in name}
    if not ranks:
        return
    for name, layer in layers(model).items():
        ending = f"{name}.lora_A"
        rank = ranks.get(f"base_model.model.{ending}.{NAME}.weight") or ranks.get(f"base_model.model.{ending}.weight")
        if rank and rank != layer.r[NAME]:
            a, b = layer.lora_A[NAME].weight, layer.lora_B[NAME].weight
            _take(a, a.new_empty(rank, a.shape[1]))
            _take(b, b.new_empty(b.shape[0], rank))
            _rank(layer, rank)


def note(model: nn.Module) -> None:
    """Let the settings that are saved say every part's true rank, and the alpha that keeps its scale."""
    configs: Any = model.peft_config
    config, found = configs[NAME], layers(model)
    config.r = Counter(layer.r[NAME] for layer in found.values()).most_common(1)[0][0]
    alpha = {
        name: layer.scaling[NAME] * (math.sqrt(layer.r[NAME]) if config.use_rslora else layer.r[NAME]) for name, layer in found.items()
    }
    usual = [name for name, layer in found.items() if layer.r[NAME] == config.r]
    config.lora_alpha = alpha[usual[0]]
    config.rank_pattern = {name: layer.r[NAME] for name, layer in found.items() if name not in usual}
    config.alpha_pattern = {name: alpha[name] for name in config.rank_pattern}


# ---- moving ranks to where they are used -------------------------------------------------------------------------------------


class _Part:
    """A part of the model: how strong what it has learned is in each direction, and how hard the loss pulls at it."""

    def __init__(self, name: str, layer: Any, optimizer: Any) -> None:
        self.name, self.layer, self.rank = name, layer, int(layer.r[NAME])
        a, b = layer.lora_A[NAME].weight, layer.lora_B[NAME].weight
        self.cost = a.shape[1] + b.shape[0]  # numbers of one rank
        self.left, self.strengths, self.right = _directions(a, b)
        notes: dict[str, Any] = next((part.state[b] for part in optimizer.parts if b in part.state), {})
        pulled = notes.get("exp_avg_sq")
        self.pull = float(pulled.float().mean().sqrt()) if isinstance(pulled, Tensor) else 0.0  # root of the gradient's mean square

    @property
    def worth(self) -> float:
        """What the weakest of its ranks is worth, by number: its singular value times the gradient. 0: nothing is known."""
        return float(self.strengths[self.rank - 1]) * self.pull / self.cost if self.rank <= len(self.strengths) else 0.0


def _directions(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The singular values of b·a with their directions, by way of the two thin matrices: [out, k], [k], [k, in]."""
    qb, rb = torch.linalg.qr(b.float())
    qa, ra = torch.linalg.qr(a.float().T)
    u, s, v = torch.linalg.svd(rb @ ra.T)
    return qb @ u[:, : len(s)], s, v[: len(s)] @ qa.T


@torch.no_grad()
def move(model: nn.Module, plan: TextPlan, optimizer: Any) -> str:
    """Take ranks from the parts where the last one is worth least and give them where it is worth most; in words, empty where none moved.

    After AdaLoRA (Zhang et al. 2023, arXiv 2303.10512), which also weighs singular values by the gradient, with whole ranks of plain LoRA.
    """
    parts = [part for name, layer in layers(model).items() if (part := _Part(name, layer, optimizer)).pull]
    before = {part.name: part.rank for part in parts}
    least, most = max(1, math.ceil(LEAST * plan.rank)), plan.widest_rank
    every = list(layers(model).values())
    room = sum((plan.rank - layer.r[NAME]) * (layer.lora_A[NAME].weight.shape[1] + layer.lora_B[NAME].weight.shape[0]) for layer in every)
    left = max(1, int(AT_ONCE * sum(before.values())))
    wanting = _wanting(parts, most, max(1, plan.rank // 8))
    for receiver, worth in wanting:
        while room < receiver.cost and left:
            giving = min((p for p in parts if p is not receiver and p.rank > least), key=lambda p: p.worth, default=None)
            if giving is None or giving.worth * WORTH > worth or giving.rank > before[giving.name]:
                left = 0
                break
            giving.rank, room, left = giving.rank - 1, room + giving.cost, left - 1
        if room < receiver.cost or not left:
            break
        receiver.rank, room = receiver.rank + 1, room - receiver.cost
    for part in parts:
        if part.rank < before[part.name]:
            _cut(part, optimizer)
    for part in parts:
        if part.rank > before[part.name]:
            resize(part.layer, part.rank, part.name, plan.seed, optimizer)
    moved = sum(max(0, part.rank - before[part.name]) for part in parts)
    return f"{moved} of {sum(before.values())} ranks of the adapter moved to parts that make more use of them." if moved else ""


def _wanting(parts: list[_Part], most: int, at_once: int) -> Iterator[tuple[_Part, float]]:
    """The parts whose weakest rank is worth most first, each for as many ranks as it may get at once."""
    for part in sorted(parts, key=lambda p: p.worth, reverse=True):
        worth = part.worth
        for _ in range(at_once):
            if part.rank < most:
                yield part, worth


def _cut(part: _Part, optimizer: Any) -> None:
    """Leave a part its strongest directions. The optimiser's notes were of others: they begin anew."""
    root = part.strengths[: part.rank].sqrt()
    a, b = part.layer.lora_A[NAME].weight, part.layer.lora_B[NAME].weight
    _take(a, (root[:, None] * part.right[: part.rank]).to(a))
    _take(b, (part.left[:, : part.rank] * root).to(b))
    for tensor in (a, b):
        for each in optimizer.parts:
            each.state.pop(tensor, None)
    _rank(part.layer, part.rank)
