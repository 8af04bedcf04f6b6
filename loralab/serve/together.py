"""Owns many rows written token by token at once: one pass over the weights serves all of them, and what all begin with is read once.

Invariants: a row takes the tokens it would take alone (up to rounding, which decides between tokens that are as likely as each other);
it ends at its own end and costs nothing from there on; a batch that does not fit into memory is written in halves. Where a model does
not read padded rows as it reads them alone (asked of the model, not of its name), each row is written alone.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from loralab.core.errors import LabError, classify
from loralab.models.tokenize import TextEncoder
from loralab.serve.generate import MEMORY, Finish, Prompt, Sampling, Spoken, active_adapters, choose, fit, keeps_logits, next_logits

ROWS = 64  # written at once: from there on a processor is busy with arithmetic, and more rows gain little
CACHE_BYTES = 256 * 2**20  # of keys and values held at once
SHARED = 8  # tokens of a common beginning from which on it is worth a pass of its own
SAME = {torch.float32: 1e-3}  # of the range of logits: what rounding may move; half precisions below
SAME_HALF = 0.05

_windows: WeakKeyDictionary[nn.Module, float] = WeakKeyDictionary()  # tokens up to which a model reads padded rows as it reads them alone


class Row(Protocol):
    """One thing to write: `ids` is what is read first, `most` how many tokens may follow. `begin` puts it back where it began."""

    ids: list[int]
    most: int

    def begin(self) -> None: ...

    def take(self, logits: Tensor) -> int | None:
        """The next token to read, given logits [V] in fp32; None where this row is at its end."""
        ...


class Written:
    """One answer: what `generate` would give for the same prompt and sampling."""

    def __init__(self, model: Any, encoder: TextEncoder, prompt: Prompt, sampling: Sampling) -> None:
        context = int(getattr(model.config, "max_position_embeddings", 0) or 1 << 30)
        self.encoder, self.sampling = encoder, sampling
        self.ids = fit(encoder, prompt, context, sampling.max_new_tokens)
        self.most = min(sampling.max_new_tokens, context - len(self.ids))
        self.begin()

    def begin(self) -> None:
        self.random = torch.Generator().manual_seed(self.sampling.seed)
        self.spoken = Spoken(self.encoder, self.sampling.stop)
        self.parts: list[str] = []
        self.written: list[int] = []
        self.reason = ""

    def take(self, logits: Tensor) -> int | None:
        token = choose(logits, self.written[-MEMORY:], self.sampling, self.random)
        if token in self.encoder.stop_ids:
            self.reason = "stop"
        else:
            self.written.append(token)
            self.parts += self.spoken.add(token)
            if self.spoken.stopped:
                self.reason = "stop"
            elif len(self.written) >= self.most:
                self.reason = "length"
        if not self.reason:
            return token
        self.parts += self.spoken.rest()
        return None

    def finish(self, active: tuple[str, ...]) -> tuple[str, Finish]:
        """The text and how it ended."""
        return "".join(self.parts), Finish(self.reason or "length", len(self.ids), len(self.written), active)


def answers(
    model: nn.Module,
    encoder: TextEncoder,
    asked: Sequence[tuple[Prompt, Sampling]],
    stop: Callable[[], bool] = lambda: False,
    beside: Sequence[Row | None] = (),
) -> list[tuple[str, Finish] | None]:
    """The answers `generate` would write, in the order asked; None for one that was not whole when `stop` said so.

    `beside`: for each answer a row that is written in the same batches, if any; it is whole only with that. The model must be in eval mode.
    Raises LabError when the numbers break or the adapter is switched meanwhile.
    """
    rows = [Written(model, encoder, prompt, sampling) for prompt, sampling in asked]
    active = active_adapters(model)
    whole = write(model, [*rows, *(row for row in beside if row is not None)], stop)
    if active != active_adapters(model):
        raise LabError("The adapter was switched while an answer was being written.", "Ask again.", code="adapter_switched")
    others = iter(whole[len(rows) :])
    along = [row is None or next(others) for row in beside] or [True] * len(rows)
    return [row.finish(active) if done and too else None for row, done, too in zip(rows, whole, along, strict=False)]


def write(model: nn.Module, rows: Sequence[Row], stop: Callable[[], bool] = lambda: False) -> list[bool]:
    """Write rows to their ends, those of like length together; which of them are whole (all, unless `stop` said otherwise)."""
    whole = [row.most <= 0 for row in rows]
    order = sorted((i for i in range(len(rows)) if not whole[i]), key=lambda i: (len(rows[i].ids), rows[i].ids))
    waiting = _batches(rows, order, _cached_bytes(model))
    while waiting and not stop():
        batch = waiting.pop(0)
        chosen = [rows[i] for i in batch]
        for row in chosen:
            row.begin()
        if len(batch) > 1 and not _reads_padded(model, chosen):
            waiting[:0] = [[i] for i in batch]
            continue
        short = False
        done: set[int] = set()
        try:
            _write(model, chosen, done, stop)
        except (RuntimeError, MemoryError) as error:
            if classify(error).code != "out_of_memory" or len(batch) < 2:
                raise
            short = True  # what was in work is free once this handler is left
        for at in done:
            whole[batch[at]] = True
        if short:
            left = [i for i in batch if not whole[i]]
            middle = (len(left) + 1) // 2
            waiting[:0] = [part for part in (left[:middle], left[middle:]) if part]
    return whole


def _batches(rows: Sequence[Row], order: Sequence[int], per_token: int) -> list[list[int]]:
    """`order` cut so that no batch holds more than ROWS rows, or more keys and values than CACHE_BYTES."""
    found: list[list[int]] = []
    longest = 0
    for i in order:
        longest = max(longest, len(rows[i].ids) + rows[i].most)
        if not found or len(found[-1]) >= ROWS or (len(found[-1]) + 1) * longest * per_token > CACHE_BYTES:
            found.append([])
            longest = len(rows[i].ids) + rows[i].most
        found[-1].append(i)
    return found


def _cached_bytes(model: Any) -> int:
    """Bytes of keys and values that one token leaves behind."""
    config = model.config.get_text_config()
    heads = getattr(config, "num_attention_heads", 1)
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    kept = getattr(config, "num_key_value_heads", None) or heads
    return 2 * config.num_hidden_layers * kept * size * next(model.parameters()).element_size()


@torch.inference_mode()
def _write(model: nn.Module, rows: Sequence[Row], done: set[int], stop: Callable[[], bool]) -> None:
    """Write one batch; places of rows that came to their ends are put into `done`."""
    logits, cache, mask = _read([row.ids for row in rows], model)
    going = list(range(len(rows)))
    lengths = [len(row.ids) for row in rows]
    while True:
        taken = [rows[i].take(logits[at]) for at, i in enumerate(going)]
        kept = [at for at, token in enumerate(taken) if token is not None]
        done |= {going[at] for at, token in enumerate(taken) if token is None}
        if not kept or stop():
            return
        where = next(model.parameters()).device
        if len(kept) < len(going):
            chosen = torch.tensor(kept, device=where)
            cache.batch_select_indices(chosen)
            mask = mask if mask is None else mask[chosen]
            going = [going[at] for at in kept]
        ids = torch.tensor([[taken[at]] for at in kept], device=where)
        if mask is not None:
            mask = torch.cat([mask, mask.new_ones(len(going), 1)], dim=1)
        places = torch.tensor([[lengths[i]] for i in going], device=where)
        logits, cache = _logits(model, ids, cache, mask, places)
        for i in going:
            lengths[i] += 1


def _read(prompts: Sequence[list[int]], model: nn.Module) -> tuple[Tensor, Any, Tensor | None]:
    """Logits [rows, V] after each prompt, the cache to go on from, and which of its places are real (None: all).

    What all prompts begin with is read once, and so is a prompt that several rows have. The rest is padded on its left, so that every row
    ends at the same place.
    """
    where, cache = next(model.parameters()).device, None
    once = list(dict.fromkeys(map(tuple, prompts)))
    common = _beginning(once)
    if common:
        shared = torch.tensor([once[0][:common]], device=where)
        _, cache = _logits(model, shared, None, None, torch.arange(common, device=where)[None])
        cache.batch_repeat_interleave(len(once))
    rest = [ids[common:] for ids in once]
    longest = max(map(len, rest))
    ids = torch.tensor([[0] * (longest - len(row)) + list(row) for row in rest], device=where)
    mask = torch.tensor([[1] * common + [0] * (longest - len(row)) + [1] * len(row) for row in rest], device=where)
    places = (mask.cumsum(1) - 1).clamp(min=0)[:, common:]
    padded = None if bool(mask.all()) else mask
    logits, cache = _logits(model, ids, cache, padded, places)
    if len(once) < len(prompts):
        number = {row: i for i, row in enumerate(once)}
        chosen = torch.tensor([number[tuple(row)] for row in prompts])
        logits, padded = logits[chosen], padded if padded is None else padded[chosen.to(where)]
        cache.batch_select_indices(chosen.to(where))
    return logits, cache, padded


def _beginning(prompts: Sequence[tuple[int, ...]]) -> int:
    """Tokens that all prompts begin with and that are worth a pass of their own; at least one is left of each."""
    if len(prompts) < 2:
        return 0
    least, most = min(prompts), max(prompts)  # what the first and the last in order begin with, all do
    common = next((i for i, (a, b) in enumerate(zip(least, most, strict=False)) if a != b), min(len(least), len(most)))
    common = min(common, min(map(len, prompts)) - 1)
    return common if common >= SHARED else 0


@torch.inference_mode()
def _logits(model: Any, ids: Tensor, cache: Any, mask: Tensor | None, places: Tensor) -> tuple[Tensor, Any]:
    """Logits [rows, V] in fp32 on the CPU after the last of `ids` [rows, n], and the cache."""
    # named by its place: a slice of many rows lies scattered, and the product of scattered states copies the whole output matrix for each
    extra: dict[str, Any] = {"logits_to_keep": torch.tensor([ids.shape[1] - 1], device=ids.device)} if keeps_logits(model) else {}
    bare = model.get_base_model() if hasattr(model, "get_base_model") else model
    if "position_ids" in inspect.signature(bare.forward).parameters:  # others count what the mask lets through
        extra["position_ids"] = places
    out = model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **extra)
    logits = out.logits[:, -1].float().cpu()
    if torch.isnan(logits).any():
        raise LabError("The model's numbers broke while it was answering.", "Try full precision (fp32).", code="non_finite")
    return logits, out.past_key_values


def _reads_padded(model: nn.Module, rows: Sequence[Row]) -> bool:
    """Whether rows of these lengths may be padded and share their beginning in this model. Asked of a model once."""
    if model not in _windows:
        _windows[model] = _window(model, rows)
    return max(len(row.ids) + row.most for row in rows) <= _windows[model]


def _window(model: nn.Module, rows: Sequence[Row]) -> float:
    """Tokens up to which padding changes nothing: none where the cache is more than keys and values, or where a padded row does not
    come out as it does alone; up to the shortest window, which padding would fill.
    """
    long, short = max((row.ids for row in rows), key=len), min((row.ids for row in rows), key=len)
    cut = short[: max(1, len(short) // 2)]
    alone, cache = next_logits(model, cut, None)
    layers = getattr(cache, "layers", ())
    if not layers or any(type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers):
        return 0.0
    padded = _read([cut, long], model)[0][0]
    near = SAME.get(next(model.parameters()).dtype, SAME_HALF) * float(alone.max() - alone.min())
    if float((padded - alone).abs().max()) > near:
        return 0.0
    return min((float(getattr(layer, "sliding_window", math.inf)) for layer in layers), default=math.inf)
