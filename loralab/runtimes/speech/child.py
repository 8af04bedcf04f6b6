"""Entry point of the language model's process: `python -m loralab.runtimes.speech.child BACKEND`. The protocol is that of exports.

Invariant: what is asked is answered at once and in order; a stream is asked for piece by piece, so that stopping needs no second channel.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Protocol

from loralab.runtimes.llama.child import main


class Backend(Protocol):
    """A binding of llama.cpp with one model opened for speaking."""

    version: str

    def open(self, model: str, adapter: str, context: int, threads: int) -> None: ...
    def tokenize(self, text: str, added: bool) -> list[int]: ...
    def chat_ids(self, messages: list[dict[str, str]]) -> list[int]: ...
    def begin(self, ids: list[int], limit: int) -> None: ...
    def more(self) -> str | None: ...
    def stop(self) -> None: ...
    def among(self, ids: list[int], allowed: Sequence[int]) -> list[float]: ...


def _backend(name: str) -> Any:
    if name == "llama_cpp":
        from loralab.runtimes.speech.library import Library

        return Library()
    from loralab.runtimes.speech.server import Server

    return Server()


if __name__ == "__main__":
    main(sys.argv[1], _backend)
