"""Owns the blocks of the Llama family by hand (Touvron et al. 2023; Qwen2's biases, Mistral, SmolLM): forward, and the gradient of the
adapters.

What a block keeps for the way back: all (x, q k v after rotation, what attention took, x in the middle, gate and up: what else is needed
is a pass over memory away), what is costly (without gate and up, which are more than half of it and one product), or x alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from loralab.sessions.fast.attention import Heads, attend, attend_back
from loralab.sessions.fast.packing import Packed
from loralab.sessions.fast.weights import Joined
from loralab.sessions.fast.workspace import Workspace

Keep = Literal["", "all", "costly", "input"]  # "": nothing, there is no way back
_silu = torch.ops.aten.silu.out
_silu_back = torch.ops.aten.silu_backward.grad_input


@dataclass(frozen=True)
class _At:
    """Where one block works: in what memory, under what name, and how its tokens are turned."""

    space: Workspace
    number: int
    keep: Keep
    turn: tuple[Tensor, Tensor]
    wanted: Tensor | None = None  # of the last block: the tokens that anything is asked of

    @property
    def name(self) -> str:
        """Of what a block keeps; where it keeps nothing all share one."""
        return str(self.number) if self.keep in ("all", "costly") else "any"

    @property
    def name_of_both(self) -> str:
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


class LlamaBody:
    """Embedding, blocks and last norm of one model. `forward` fills a workspace that `backward` reads."""

    def __init__(self, model: Any) -> None:
        self.model, config = model, model.config
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self.heads = Heads(config.num_attention_heads, config.num_key_value_heads, size, size**-0.5)
        self.hidden, self.inner = config.hidden_size, config.intermediate_size
        self.blocks = [_Block(layer) for layer in model.layers]

    def parameters(self) -> list[Tensor]:
        """What learns, in the order of `backward`."""
        return [tensor for block in self.blocks for joined in block.joined for tensor in joined.parameters()]

    def forward(self, packed: Packed, space: Workspace, *, keep: Keep, depth: int | None = None) -> Tensor:
        """States after the last norm at the tokens that are wanted, [n, hidden]; `depth` asks for the first blocks alone."""
        turn = self._turns(packed)
        x = space.take("x.0", packed.size, self.hidden)
        x.copy_(F.embedding(packed.ids, self.model.embed_tokens.weight))
        blocks = self.blocks[:depth]
        for at, block in enumerate(blocks):
            last = at == len(blocks) - 1
            following = space.take(f"x.{at + 1 if keep else (at + 1) % 2}", packed.n_wanted if last else packed.size, self.hidden)
            here = _At(space, at, keep, turn, packed.wanted if last else None)
            x = self._forward(block, packed, x, following, here)
        return _norm(x, self.model.norm, space, "last")

    def backward(self, packed: Packed, space: Workspace, gradient: Tensor, *, keep: Keep) -> list[Tensor]:
        """Gradients of `parameters`, from that of the states [n, hidden], which is used up."""
        turn = self._turns(packed)
        top = space.take(f"x.{len(self.blocks)}", packed.n_wanted, self.hidden)
        down = space.take("gradient.top", packed.n_wanted, self.hidden).zero_()
        _norm_back(gradient, (top, self.model.norm, "last"), down, space)
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

    def _turns(self, packed: Packed) -> tuple[Tensor, Tensor]:
        """Cosines and sines of the rotation at each token, [T, 1, size / 2]: the second half of a head turns as the first."""
        cos, sin = self.model.rotary_emb(self.model.norm.weight, packed.positions[None])
        half = self.heads.size // 2
        return cos[0, :, None, :half].contiguous(), sin[0, :, None, :half].contiguous()

    def _forward(self, block: _Block, packed: Packed, x: Tensor, following: Tensor, at: _At) -> Tensor:
        space, name = at.space, at.name
        joined = space.take(f"{name}.qkv", packed.size, self.heads.width)
        block.qkv.product(space, _norm(x, block.norm, space, f"{name}.norm"), joined)
        _rotate(joined, self.heads, *at.turn, space)
        taken = attend(self.heads, packed, joined, space, name)
        taken, x = at.chosen(taken, "taken"), at.chosen(x, "x")
        n = len(x)
        middle = block.out.product(space, taken, space.take(f"{name}.middle", n, self.hidden), add=x)
        both = space.take(f"{at.name_of_both}.both", n, 2 * self.inner)
        block.gate_up.product(space, _norm(middle, block.middle_norm, space, f"{name}.middle_norm"), both)
        return block.down.product(space, self._inner(both, space), following, add=middle)

    def _inner(self, both: Tensor, space: Workspace) -> Tensor:
        """silu(gate) * up (Shazeer 2020)."""
        gate, up = both.split(self.inner, 1)
        return _silu(gate, out=space.take("inner", len(both), self.inner)).mul_(up)

    def _backward(self, block: _Block, packed: Packed, x: Tensor, down: Tensor, at: _At, *, first: bool) -> tuple[list[Tensor], Tensor]:
        """The gradients of the block's adapters, and that of `x`, from `down`, the gradient of what the block gave, which is used up."""
        space, name, n, wide = at.space, at.name, len(down), self.heads.queries * self.heads.size
        middle, both = space.take(f"{name}.middle", n, self.hidden), space.take(f"{at.name_of_both}.both", n, 2 * self.inner)
        if at.keep == "costly":
            block.gate_up.product(space, _normed(middle, block.middle_norm, space, f"{name}.middle_norm"), both)
        gate, up = both.split(self.inner, 1)
        active = _silu(gate, out=space.take("active", n, self.inner))
        inner = torch.mul(active, up, out=space.take("inner", n, self.inner))
        of_down = block.down.gradients(space, inner, down)
        into = block.down.product_back(space, down, inner)
        both_back = space.take("both.back", n, 2 * self.inner)
        gate_back, up_back = both_back.split(self.inner, 1)
        torch.mul(into, active, out=up_back)
        _silu_back(into.mul_(up), gate, grad_input=gate_back)
        of_both = block.gate_up.gradients(space, _normed(middle, block.middle_norm, space, f"{name}.middle_norm"), both_back)
        back = block.gate_up.product_back(space, both_back, space.take("hidden.back", n, self.hidden))
        _norm_back(back, (middle, block.middle_norm, f"{name}.middle_norm"), down, space)

        taken = space.take(f"{name}.taken", packed.size, wide)
        of_out = block.out.gradients(space, at.chosen(taken, "taken"), down)
        out_back = block.out.product_back(space, down, space.take("out.back", n, wide))
        out_back, down = at.placed(out_back, packed.size, "out.back"), at.placed(down, packed.size, "gradient")
        joined_back = attend_back(self.heads, packed, taken, out_back, space, name)
        _rotate(joined_back, self.heads, at.turn[0], -at.turn[1], space)
        of_qkv = block.qkv.gradients(space, _normed(x, block.norm, space, f"{name}.norm"), joined_back)
        if not first:  # nothing learns below the first block
            back = block.qkv.product_back(space, joined_back, space.take("hidden.back", packed.size, self.hidden))
            _norm_back(back, (x, block.norm, f"{name}.norm"), down, space)
        return [*of_qkv, *of_out, *of_both, *of_down], down


class _Block:
    def __init__(self, layer: Any) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.norm, self.middle_norm = layer.input_layernorm, layer.post_attention_layernorm
        self.qkv = Joined([attention.q_proj, attention.k_proj, attention.v_proj])
        self.out = Joined([attention.o_proj])
        self.gate_up = Joined([mlp.gate_proj, mlp.up_proj])
        self.down = Joined([mlp.down_proj])
        self.joined = (self.qkv, self.out, self.gate_up, self.down)


def _norm(x: Tensor, norm: Any, space: Workspace, name: str) -> Tensor:
    """Root mean square norm (Zhang & Sennrich 2019), [n, hidden]; 1 / root mean square of each row stays under `name`."""
    inverse = torch.linalg.vector_norm(x, dim=1, keepdim=True, out=space.take(name, len(x), 1)).square_()
    inverse.div_(x.shape[1]).add_(norm.variance_epsilon).rsqrt_()
    return _normed(x, norm, space, name)


def _normed(x: Tensor, norm: Any, space: Workspace, name: str) -> Tensor:
    """The same once more."""
    return torch.mul(x, space.take(name, len(x), 1), out=space.take("normed", *x.shape)).mul_(norm.weight)


def _norm_back(gradient: Tensor, of: tuple[Tensor, Any, str], into: Tensor, space: Workspace) -> None:
    """Adds the gradient of the input of a norm (input, norm, name) to `into`; `gradient`, of its output, is used up."""
    x, norm, name = of
    inverse = space.take(name, len(x), 1)
    gradient.mul_(norm.weight)
    along = torch.mul(gradient, x, out=space.take("along", *x.shape)).sum(1, keepdim=True)
    into.addcmul_(gradient, inverse)
    into.addcmul_(x, along.mul_(inverse.pow(3)).div_(-x.shape[1]))


def _rotate(joined: Tensor, heads: Heads, cos: Tensor, sin: Tensor, space: Workspace) -> None:
    """Turns queries and keys in place by their positions (Su et al. 2021); with -sin back."""
    turned = (heads.queries + heads.keys) * heads.size
    pairs = joined[:, :turned].unflatten(1, (-1, 2, heads.size // 2))
    left, right = pairs[:, :, 0], pairs[:, :, 1]
    moved = torch.mul(left, sin, out=space.take("turned", *left.shape))
    left.mul_(cos).addcmul_(right, sin, value=-1)
    right.mul_(cos).add_(moved)
