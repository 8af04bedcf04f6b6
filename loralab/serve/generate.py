"""Owns writing an answer token by token.

Invariants: which adapters took part is read off the layers that computed the answer, never off a switch that was set; the caller may
stop taking pieces at any moment and nothing is left switched off or half done; the same seed and settings give the same answer.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from tokenizers.decoders import DecodeStream
from torch import Tensor, nn

from loralab.core.errors import LabError, UserError
from loralab.core.records import Message
from loralab.models.tokenize import TextEncoder

ANSWER_SHARE = 4  # a prompt that is too long leaves at least a quarter of the context for the answer
SMALL_MODEL = 100_000_000  # parameters; smaller ones fall into loops and get a mild penalty on repeating themselves
MILD_PENALTY = 1.1
MEMORY = 64  # own tokens the penalty looks back on; words of the question are free to be said again


Prompt = Sequence[Message | dict[str, str]] | str  # a conversation to answer, or plain text to go on from


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. Temperature 0 always takes the likeliest."""

    max_new_tokens: int = 200
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    repetition_penalty: float = 1.0  # > 1 makes tokens it wrote a moment ago less likely (after Keskar et al. 2019, CTRL)
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finish:
    """How an answer ended: `reason` is stop (the model or a stop text ended it) or length; `active` are the adapters that took part."""

    reason: str
    prompt_tokens: int
    tokens: int
    active: tuple[str, ...]


def active_adapters(model: nn.Module) -> tuple[str, ...]:
    """Names of the adapters whose weights take part in a forward pass right now, read off PEFT's layers; empty for a bare model."""
    found: set[str] = set()
    for module in model.modules():
        if isinstance(module, BaseTunerLayer) and not module.disable_adapters:
            held = {name for part in module.adapter_layer_names for name in getattr(module, part, {})}
            found |= (set(module.active_adapters) & held) | set(module.merged_adapters)
    return tuple(sorted(found))


def adapter_off(model: nn.Module) -> AbstractContextManager[Any]:
    """Within it the model is the bare base. A model without adapters is that anyway."""
    return model.disable_adapter() if isinstance(model, PeftModel) else nullcontext()


def generate(model: nn.Module, encoder: TextEncoder, prompt: Prompt, sampling: Sampling | None = None) -> Generator[str, None, Finish]:
    """Yield the answer to `prompt` in pieces of text; the generator's return value is the Finish.

    The model must be in eval mode. Raises UserError for a conversation without messages, LabError when the numbers break.
    """
    chosen = sampling or Sampling()
    context = int(getattr(model.config, "max_position_embeddings", 0) or 1 << 30)
    read = fit(encoder, prompt, context, chosen.max_new_tokens)
    asked = len(read)
    random = torch.Generator().manual_seed(chosen.seed)
    text = Spoken(encoder, chosen.stop)
    cache: Any = None
    written: list[int] = []
    active: tuple[str, ...] | None = None
    reason = "length"
    for _ in range(min(chosen.max_new_tokens, context - asked)):
        logits, cache = next_logits(model, read, cache)
        active = active_adapters(model) if active is None else active
        token = choose(logits, written[-MEMORY:], chosen, random)
        if token in encoder.stop_ids:
            reason = "stop"
            break
        read = [token]
        written.append(token)
        yield from text.add(token)
        if text.stopped:
            reason = "stop"
            break
    yield from text.rest()
    if active is not None and active != active_adapters(model):
        raise LabError("The adapter was switched while an answer was being written.", "Ask again.", code="adapter_switched")
    return Finish(reason, asked, len(written), active or ())


def default_penalty(model: nn.Module) -> float:
    """The repetition penalty a model of this size answers with when nobody says otherwise."""
    return MILD_PENALTY if sum(p.numel() for p in model.parameters()) < SMALL_MODEL else 1.0


def answer(
    model: nn.Module, encoder: TextEncoder, prompt: Prompt, max_new_tokens: int, repetition_penalty: float = 1.0
) -> tuple[str, tuple[str, ...]]:
    """The likeliest answer as a whole, and the adapters that took part. Training mode is put back as it was."""
    was_training = model.training
    model.eval()
    sampling = Sampling(max_new_tokens=max_new_tokens, repetition_penalty=repetition_penalty)
    try:
        text, finish = collect(generate(model, encoder, prompt, sampling))
    finally:
        model.train(was_training)
    return text, finish.active


def collect(pieces: Generator[str, None, Finish]) -> tuple[str, Finish]:
    """Run an answer to its end."""
    parts: list[str] = []
    while True:
        try:
            parts.append(next(pieces))
        except StopIteration as end:
            return "".join(parts), end.value


def fit(encoder: TextEncoder, prompt: Prompt, context: int, max_new_tokens: int) -> list[int]:
    """Prompt tokens that leave room for an answer: the oldest turns go first (a system message stays), then the front of what is left."""
    room = context - min(max_new_tokens, max(1, context // ANSWER_SHARE))
    if isinstance(prompt, str):
        return encoder.text_ids(prompt)[-room:]
    turns = [m if isinstance(m, Message) else Message.model_validate(m) for m in prompt]
    if not any(turn.role == "user" for turn in turns):
        raise UserError("There is nothing to answer.", "Send at least one message of yours.", code="no_messages")
    first = 1 if turns[0].role == "system" else 0
    ids = encoder.prompt_ids(turns)
    while len(ids) > room and len(turns) > first + 1:
        del turns[first]
        while len(turns) > first + 1 and turns[first].role == "assistant":  # a conversation opens with a question
            del turns[first]
        ids = encoder.prompt_ids(turns)
    return ids[-room:]


class Spoken:
    """Tokens to text, held back while a character or a stop text is incomplete."""

    def __init__(self, encoder: TextEncoder, stop: tuple[str, ...]) -> None:
        self.encoder, self.stop = encoder, tuple(filter(None, stop))
        self.stream = DecodeStream(skip_special_tokens=True)
        self.ids: list[int] = []
        self.read = 0  # characters that came out of the stream
        self.held = ""  # those of them that were not given away yet
        self.stopped = False

    def add(self, token: int) -> Iterator[str]:
        """What may be given away now that this token is written, too."""
        self.ids.append(token)
        piece = self.stream.step(self.encoder.tokenizer, token) or ""
        self.read += len(piece)
        self.held += piece
        cut = min((at for at in (self.held.find(s) for s in self.stop) if at >= 0), default=-1)
        self.stopped = cut >= 0
        yield from self._give(cut if self.stopped else len(self.held) - self._could_be_stop())

    def rest(self) -> Iterator[str]:
        """What is left at the end, bytes of a character that stayed unfinished included."""
        if not self.stopped:
            self.held += self.encoder.decode(self.ids)[self.read :]
            yield from self._give(len(self.held))

    def _could_be_stop(self) -> int:
        """Length of the longest ending of what is held that is the beginning of a stop text."""
        return max((n for s in self.stop for n in range(1, len(s)) if self.held.endswith(s[:n])), default=0)

    def _give(self, count: int) -> Iterator[str]:
        piece, self.held = self.held[:count], self.held[count:]
        if piece:
            yield piece


@torch.inference_mode()
def next_logits(model: nn.Module, ids: list[int], cache: Any) -> tuple[Tensor, Any]:
    """Logits [V] in fp32 on the CPU after `ids`, and the cache of keys and values to go on from."""
    extra = {"logits_to_keep": 1} if keeps_logits(model) else {}
    tokens = torch.tensor([ids], device=next(model.parameters()).device)
    out = model(input_ids=tokens, past_key_values=cache, use_cache=True, **extra)
    logits = out.logits[0, -1].float().cpu()
    if torch.isnan(logits).any():
        raise LabError("The model's numbers broke while it was answering.", "Try full precision (fp32).", code="non_finite")
    return logits, out.past_key_values


def keeps_logits(model: Any) -> bool:
    """Whether a model can leave out the logits nobody asked for."""
    bare = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "logits_to_keep" in inspect.signature(bare.forward).parameters


def choose(logits: Tensor, recent: list[int], sampling: Sampling, random: torch.Generator) -> int:
    """The next token by `sampling`, given logits [V] and the tokens written a moment ago."""
    if sampling.repetition_penalty != 1.0 and recent:
        logits = logits.clone()
        used = torch.tensor(sorted(set(recent)))
        values = logits[used]
        logits[used] = torch.where(values > 0, values / sampling.repetition_penalty, values * sampling.repetition_penalty)
    if sampling.temperature <= 0:
        return int(logits.argmax())
    shares, order = torch.softmax(logits / sampling.temperature, dim=-1).sort(descending=True)
    # nucleus sampling (Holtzman et al. 2020): the smallest set holding top_p of the probability, always at least one token
    shares[shares.cumsum(-1) - shares >= sampling.top_p] = 0.0
    return int(order[torch.multinomial(shares, 1, generator=random)])
