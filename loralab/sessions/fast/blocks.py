"""Owns blocks by hand: forward, and the gradient of the adapters. loralab.sessions.fast.families says which models are made of them.

What a block keeps for the way back: all (x, q k v, after rotation where no norm lies before it, what attention took, x in the middle, and
the MLP's first product: what else is needed is a pass over memory away), what is costly (without the MLP's, which is more than half of it
and one product), or x alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from loralab.sessions.fast.attention import Heads, attend, attend_back
from loralab.sessions.fast.mlps import Middle
from loralab.sessions.fast.norms import HeadNorm, Norm
from loralab.sessions.fast.packing import Packed
from loralab.sessions.fast.weights import Joined
from loralab.sessions.fast.workspace import Workspace

Turn = tuple[Tensor, Tensor]  # cosines and sines of the rotation at each token, [T, 1, size / 2]
Keep = Literal["", "all", "costly", "input"]  # "": nothing, there is no way back


@dataclass(frozen=True)
class Block:
    """One block's parts: queries, keys and values side by side, what comes out of attention, and the two products of the MLP."""

    norm: Norm
    qkv: Joined
    out: Joined
    middle_norm: Norm
    into: Joined
    middle: Middle
    down: Joined
    head_norms: tuple[HeadNorm, HeadNorm] | None = None  # of queries and keys

    @property
    def joined(self) -> tuple[Joined, Joined, Joined, Joined]:
        return self.qkv, self.out, self.into, self.down


@dataclass(frozen=True)
class _At:
    """Where one block works: in what memory, under what name, and how its tokens are turned."""

    space: Workspace
    number: int
    keep: Keep
    turn: Turn | None
    wanted: Tensor | None = None  # of the last block: the tokens that anything is asked of

    @property
    def name(self) -> str:
        """Of what a block keeps; where it keeps nothing all share one."""
        return str(self.number) if self.keep in ("all", "costly") else "any"

    @property
    def name_of_wide(self) -> str:
        return str(self.number) if self.keep == "all" else "any"

    def chosen(self, values: Tensor, name: str) -> Tensor:
        """[T, n] at the wanted tokens."""
        if self.wanted is None:
            return values
        out = self.space.take(f"wanted.{name}", len(self.wanted), values.shape[1])
        return torch.index_select(values, 0, self.wanted, out=out)

    def placed(self, values: Tensor, size: int, name: str) -> Tensor:
        """The other way: at all `size` tokens, zero where nothing is wanted."""
        if self.wanted is None:
            return values
        return self.space.take(f"placed.{name}", size, values.shape[1]).zero_().index_copy_(0, self.wanted, values)


class Blocks:
    """Embedding, blocks and last norm of one model. `forward` fills a workspace that `backward` reads."""

    def __init__(
        self,
        heads: Heads,
        embed: Callable[[Packed, Tensor], object],
        turns: Callable[[Packed], Turn] | None,
        blocks: list[Block],
        last: Norm,
    ) -> None:
        """`embed` writes the states of the tokens where it is told; `turns` says how positions turn queries and keys, if they do."""
        self.heads, self.embed, self.turns, self.blocks, self.last = heads, embed, turns, blocks, last
        self.hidden, self.inner = blocks[0].qkv.n_in, blocks[0].down.n_in

    def parameters(self) -> list[Tensor]:
        """What learns, in the order of `backward`."""
        return [tensor for block in self.blocks for joined in block.joined for tensor in joined.parameters()]

    def forward(self, packed: Packed, space: Workspace, *, keep: Keep, depth: int | None = None) -> Tensor:
        """States after the last norm at the tokens that are wanted, [n, hidden]; `depth` asks for the first blocks alone."""
        turn = self.turns(packed) if self.turns else None
        x = space.take("x.0", packed.size, self.hidden)
        self.embed(packed, x)
        blocks = self.blocks[:depth]
        for at, block in enumerate(blocks):
            last = at == len(blocks) - 1
            following = space.take(f"x.{at + 1 if keep else (at + 1) % 2}", packed.n_wanted if last else packed.size, self.hidden)
            here = _At(space, at, keep, turn, packed.wanted if last else None)
            x = self._forward(block, packed, x, following, here)
        return self.last(x, space, "last")

    def backward(self, packed: Packed, space: Workspace, gradient: Tensor, *, keep: Keep) -> list[Tensor]:
        """Gradients of `parameters`, from that of the states [n, hidden], which is used up."""
        turn = self.turns(packed) if self.turns else None
        top = space.take(f"x.{len(self.blocks)}", packed.n_wanted, self.hidden)
        down = space.take("gradient.top", packed.n_wanted, self.hidden).zero_()
        self.last.back(gradient, top, down, space, "last")
        found: list[list[Tensor]] = []
        for at in reversed(range(len(self.blocks))):
            last = at == len(self.blocks) - 1
            x = space.take(f"x.{at}", packed.size, self.hidden)
            here = _At(space, at, keep, turn, packed.wanted if last else None)
            if keep == "input":
                again = space.take("x.again", packed.n_wanted if last else packed.size, self.hidden)
                self._forward(self.blocks[at], packed, x, again, here)
            gradients, down = self._backward(self.blocks[at], packed, x, down, here, first=at == 0)
            found.append(gradients)
        return [tensor for block in reversed(found) for tensor in block]

    def _forward(self, block: Block, packed: Packed, x: Tensor, following: Tensor, at: _At) -> Tensor:
        space, name = at.space, at.name
        joined = space.take(f"{name}.qkv", packed.size, self.heads.width)
        block.qkv.product(space, block.norm(x, space, f"{name}.norm"), joined)
        taken = attend(self.heads, packed, self._turned(block, joined, at), space, name)
        taken, x = at.chosen(taken, "taken"), at.chosen(x, "x")
        middle = block.out.product(space, taken, space.take(f"{name}.middle", len(x), self.hidden), add=x)
        wide = space.take(f"{at.name_of_wide}.wide", len(x), block.into.n_out)
        block.into.product(space, block.middle_norm(middle, space, f"{name}.middle_norm"), wide)
        return block.down.product(space, block.middle(wide, self.inner, space), following, add=middle)

    def _turned(self, block: Block, joined: Tensor, at: _At) -> Tensor:
        """Queries and keys as attention takes them: turned in place, or, where they are normed first, in memory of their own, because what
        went into the norms is needed on the way back.
        """
        if block.head_norms is not None:
            joined = at.space.take("turned.qkv", *joined.shape).copy_(joined)
            for part, norm in zip(self.heads.turned(joined), block.head_norms, strict=True):
                norm(part)
        if at.turn is not None:
            _rotate(joined, self.heads, *at.turn, at.space)
        return joined

    def _backward(self, block: Block, packed: Packed, x: Tensor, down: Tensor, at: _At, *, first: bool) -> tuple[list[Tensor], Tensor]:
        """The gradients of the block's adapters, and that of `x`, from `down`, the gradient of what the block gave, which is used up."""
        space, name, n = at.space, at.name, len(down)
        middle, wide = space.take(f"{name}.middle", n, self.hidden), space.take(f"{at.name_of_wide}.wide", n, block.into.n_out)
        if at.keep == "costly":
            block.into.product(space, block.middle_norm.again(middle, space, f"{name}.middle_norm"), wide)
        inner = block.middle.again(wide, self.inner, space)
        of_down = block.down.gradients(space, inner, down)
        wide_back = block.middle.back(wide, block.down.product_back(space, down, inner), space)
        of_into = block.into.gradients(space, block.middle_norm.again(middle, space, f"{name}.middle_norm"), wide_back)
        back = block.into.product_back(space, wide_back, space.take("hidden.back", n, self.hidden))
        block.middle_norm.back(back, middle, down, space, f"{name}.middle_norm")

        taken = space.take(f"{name}.taken", packed.size, block.out.n_in)
        of_out = block.out.gradients(space, at.chosen(taken, "taken"), down)
        out_back = block.out.product_back(space, down, space.take("out.back", n, block.out.n_in))
        out_back, down = at.placed(out_back, packed.size, "out.back"), at.placed(down, packed.size, "gradient")
        joined_back = self._attention_back(block, packed, taken, out_back, at)
        of_qkv = block.qkv.gradients(space, block.norm.again(x, space, f"{name}.norm"), joined_back)
        if not first:  # nothing learns below the first block
            back = block.qkv.product_back(space, joined_back, space.take("hidden.back", packed.size, self.hidden))
            block.norm.back(back, x, down, space, f"{name}.norm")
        return [*of_qkv, *of_out, *of_into, *of_down], down

    def _attention_back(self, block: Block, packed: Packed, taken: Tensor, gradient: Tensor, at: _At) -> Tensor:
        """The gradient of queries, keys and values as the block's product made them, [T, width], from that of `taken`."""
        raw = at.space.take(f"{at.name}.qkv", packed.size, self.heads.width)
        joined = raw if block.head_norms is None else self._turned(block, raw, at)
        back = attend_back(self.heads, packed, (joined, taken), gradient, at.space, at.name)
        if at.turn is not None:
            _rotate(back, self.heads, at.turn[0], -at.turn[1], at.space)
        if block.head_norms is not None:
            for each, part, norm in zip(self.heads.turned(back), self.heads.turned(raw), block.head_norms, strict=True):
                norm.back(each, part)
        return back


def _rotate(joined: Tensor, heads: Heads, cos: Tensor, sin: Tensor, space: Workspace) -> None:
    """Turns queries and keys in place by their positions (Su et al. 2021); with -sin back. The second half of a head turns as the first."""
    turned = (heads.queries + heads.keys) * heads.size
    pairs = joined[:, :turned].unflatten(1, (-1, 2, heads.size // 2))
    left, right = pairs[:, :, 0], pairs[:, :, 1]
    moved = torch.mul(left, sin, out=space.take("turned", *left.shape))
    left.mul_(cos).addcmul_(right, sin, value=-1)
    right.mul_(cos).add_(moved)
