"""Owns the counting of memory that tensors hold while a program runs, on a real device or on none (`meta`, where tensors have no content).

Invariant: a storage is counted once, from the operation that makes it to the moment nothing refers to it any more; views add nothing.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

_aten = torch.ops.aten
_READ = _aten._local_scalar_dense.default  # noqa: SLF001  (what `.item()` and `if tensor:` come down to)
_KERNEL = _aten._scaled_dot_product_flash_attention_for_cpu.default  # noqa: SLF001  (it keeps what a card's kernels keep)
_PICKS = {
    _aten.index.Tensor,
    _aten.index_put.default,
    _aten.index_put_.default,
    _aten._index_put_impl_.default,
    _aten._unsafe_index_put.default,  # noqa: SLF001
}


class Ledger(TorchDispatchMode):
    """Live bytes by `part`, and the highest total seen in each `phase` with the parts it was made of.

    Both are plain attributes that hooks set as the program goes. Where tensors have no content, two questions about content are
    answered from what is known: `marked` is how many positions a mask picks, and every yes-or-no is yes.
    """

    def __init__(self, rounding: int, marked: int = 0) -> None:
        super().__init__()
        self.rounding = rounding  # bytes an allocation is rounded up to
        self.marked = marked
        self.part, self.phase = "activations", "forward"
        self.live: Counter[str] = Counter()
        self.peaks: dict[str, Counter[str]] = {}
        self._held: dict[int, tuple[int, str]] = {}

    def __torch_dispatch__(self, operation: Any, types: Any, arguments: tuple[Any, ...] = (), named: Any = None) -> Any:
        if operation is _READ and arguments[0].device.type == "meta":
            return True if arguments[0].dtype == torch.bool else 1
        if operation in _PICKS and arguments[0].device.type == "meta":
            arguments = (arguments[0], [index for mark in arguments[1] for index in self._picked(mark)], *arguments[2:])
        result = operation(*arguments, **(named or {}))
        for tensor in _tensors(result):
            self.count(tensor)
        return result

    def count(self, tensor: Tensor, part: str = "") -> None:
        """Take a tensor's storage into the books, if it is not there, or move it to another part."""
        storage = tensor.untyped_storage()
        key = storage._cdata  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  (the address of the storage itself: one without content has no data pointer)
        size = -(-storage.nbytes() // self.rounding) * self.rounding
        if key in self._held:
            if part:
                self.live[self._held[key][1]] -= self._held[key][0]
                self.live[part] += self._held[key][0]
                self._held[key] = (self._held[key][0], part)
            return
        self._held[key] = (size, part or self.part)
        self.live[part or self.part] += size
        weakref.finalize(storage, self._release, key).atexit = False
        highest = self.peaks.get(self.phase)
        if highest is None or self.live.total() > highest.total():
            self.peaks[self.phase] = Counter(self.live)

    def _release(self, key: int) -> None:
        size, part = self._held.pop(key)
        self.live[part] -= size

    def _picked(self, mark: Tensor | None) -> list[Tensor | None]:
        """A mask as the positions it picks, one tensor for each of its dimensions, as the real operation makes of it."""
        if mark is None or mark.dtype != torch.bool:
            return [mark]
        return [torch.empty(self.marked, dtype=torch.long, device=mark.device) for _ in range(mark.dim())]


def _tensors(result: Any) -> Iterable[Tensor]:
    if isinstance(result, Tensor):
        yield result
    elif isinstance(result, (tuple, list)):
        for each in result:
            yield from _tensors(each)


@contextmanager
def fused_attention(where: str) -> Generator[None, None, None]:
    """Attention as the kernel the device `where` would choose, for tensors without content: for them torch falls back to plain arithmetic.

    Replaced by name and not by a mode, because modes are not in force while a block is computed again on the way back.
    """
    own = functional.scaled_dot_product_attention

    def chosen(  # noqa: PLR0913  (the arguments of the function it stands for)
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        *,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        shared = query.shape[1] // key.shape[1]
        plain = attn_mask is not None and attn_mask.requires_grad  # no kernel gives a gradient to a mask
        plain |= shared > 1 and not enable_gqa  # or stretches one head over many unasked
        plain |= where == "cpu" and dropout_p > 0
        if query.device.type != "meta" or plain:
            return own(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)
        if attn_mask is not None and attn_mask.dtype == torch.bool:
            attn_mask = torch.empty(attn_mask.shape, dtype=query.dtype, device=query.device)
        if where != "cpu" and shared > 1:  # cards copy keys and values for every head that shares them
            key, value = key.repeat_interleave(shared, 1), value.repeat_interleave(shared, 1)
        return _KERNEL(query, key, value, 0.0, is_causal, attn_mask=attn_mask, scale=scale)[0]

    functional.scaled_dot_product_attention = chosen
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = own
