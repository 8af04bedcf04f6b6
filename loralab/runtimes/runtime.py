"""Owns what a runtime is to an export: the program people will use the file with, asked the questions that prove the file right.

Invariant: a runtime answers with what it does itself (its own tokenizer, its own chat template, its own stopping), never with what we
believe it does; when it breaks, the caller gets a LabError and goes on living.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Runtime(Protocol):
    """One loaded model in the program it was exported for. Close it when done."""

    name: str  # the program and its version, for the record

    def tokenize(self, text: str, *, added: bool = True) -> list[int]:
        """Token ids of plain text, with the special tokens the runtime adds by itself unless `added` is false."""
        ...

    def chat_ids(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """Token ids of a conversation up to where the answer begins, by the chat template inside the export."""
        ...

    def logits(self, ids: Sequence[int]) -> Any:
        """What it expects after each of `ids`: numpy float32 [len(ids), vocabulary], as natural logarithms of probabilities.

        Some runtimes hand out nothing else; compare them with the log-softmax of a model's logits. Where telling is dear, some rows hold
        the likeliest tokens only, and positive infinity, which no logarithm of a probability is, for those that were not told.
        """
        ...

    def tail(self, ids: Sequence[int], start: int) -> Any:
        """Whole rows from token number `start` on; some runtimes have to be asked once for each."""
        ...

    def generate(self, ids: Sequence[int], limit: int) -> list[int]:
        """The likeliest continuation, token by token, up to and with the token by which it stopped; at most `limit`."""
        ...

    def ends(self, token: int) -> bool:
        """Whether it stops when it has written this token."""
        ...

    def close(self) -> None:
        """Let go of the model. May be called twice."""
        ...
