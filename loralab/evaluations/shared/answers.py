"""Owns writing the answers that measures are taken on: every judged example once by the base and once by the adapter.

Invariants: both answer greedily with the same template and the same (mild, small models only) penalty on repetition as in the app's
chat; who took part is read off the layers; examples come in a seeded order, so that the first k of them are a fair sample whenever it
is stopped.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loralab.core.errors import LabError
from loralab.core.records import Example, Message

if TYPE_CHECKING:
    from torch import nn

SHORTEST, LONGEST = 32, 160  # tokens an answer may take: twice its reference, within these
OPENING = 3  # of a plain text the first third is given and the rest is to be written


@dataclass(frozen=True)
class Answer:
    """What one of the two wrote: `ended` says it ended its turn by itself, `active` which adapters took part (read off the layers)."""

    text: str
    ended: bool
    tokens: int
    active: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answered:
    """A held-out example answered before and after training: greedy, the same template, in the same process."""

    example: Example
    prompt: list[Message] | str
    reference: str
    before: Answer
    after: Answer

    @property
    def question(self) -> str:
        """The last thing a person said, or the opening of a text."""
        if isinstance(self.prompt, str):
            return self.prompt
        return next((turn.content for turn in reversed(self.prompt) if turn.role == "user"), "")


def switched(model: nn.Module, *, adapter: bool) -> AbstractContextManager[Any]:
    """Within it the adapter takes part, or the model is the bare base."""
    from loralab.serve.generate import adapter_off

    return nullcontext() if adapter else adapter_off(model)


def asked(example: Example) -> tuple[str | list[Message], str]:
    """What the model is given and what the file says it should write: the turns before the last answer, or the opening of a text."""
    if not example.messages:
        cut = len(example.text) // OPENING
        space = example.text.find(" ", cut)  # not in the middle of a word
        cut = space if 0 <= space < 2 * cut else cut
        return example.text[:cut], example.text[cut:].strip()
    last = max((i for i, message in enumerate(example.messages) if message.role == "assistant"), default=len(example.messages))
    reference = example.messages[last].content if last < len(example.messages) else ""
    return list(example.messages[:last]), reference


def write_both(session: Any, example: Example) -> Answered:
    """Both answers to one example."""
    from loralab.serve.generate import default_penalty

    prompt, reference = asked(example)
    wanted = len(session.encoder.text_ids(reference))
    if example.label is not None:  # a longer answer is wrong however it goes on, and a label may well repeat a word of itself
        size, penalty = 2 * wanted + 4, 1.0
    else:
        size, penalty = min(LONGEST, max(SHORTEST, 2 * wanted)), default_penalty(session.model)
    with switched(session.model, adapter=False):
        before = _one(session, prompt, size, penalty)
    with switched(session.model, adapter=True):
        after = _one(session, prompt, size, penalty)
    if before.active or not after.active:
        raise LabError("The adapter could not be switched for a fair comparison.", "Train it again.", code="adapter_switch")
    return Answered(example, prompt, reference, before, after)


def _one(session: Any, prompt: str | list[Message], size: int, penalty: float) -> Answer:
    from loralab.serve.generate import Sampling, collect, generate

    text, finish = collect(generate(session.model, session.encoder, prompt, Sampling(max_new_tokens=size, repetition_penalty=penalty)))
    return Answer(text, finish.reason == "stop", finish.tokens, finish.active)
