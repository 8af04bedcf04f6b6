"""Entry point of the process in which a runtime lives: `python -m loralab.runtimes.llama.child BACKEND`. For llama.cpp, no torch in it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Protocol

from loralab.core.child_process import serve

QUANTIZER = "quantizer"


class Backend(Protocol):
    """A binding of llama.cpp, or transformers, with one model opened."""

    version: str

    def open(self, model: str, adapter: str, context: int, threads: int) -> None: ...
    def tokenize(self, text: str, added: bool) -> list[int]: ...
    def chat_ids(self, messages: list[dict[str, str]]) -> list[int]: ...
    def logits(self, ids: list[int]) -> bytes: ...
    def tail(self, ids: list[int], start: int) -> bytes: ...
    def generate(self, ids: list[int], limit: int) -> list[int]: ...
    def ends(self, token: int) -> bool: ...


def _backend(name: str) -> Any:
    if name == "llama_cpp":
        from loralab.runtimes.llama.library import Library

        return Library()
    if name == "transformers":
        from loralab.runtimes.fresh import Transformers

        return Transformers()
    if name == QUANTIZER:
        from loralab.runtimes.llama.quantizer import Quantizer

        return Quantizer()
    from loralab.runtimes.llama.server import Server

    return Server()


def main(name: str, make: Callable[[str], Any] = _backend) -> None:
    """Answer requests until the parent has gone. `make` gives the backend of a name, whose methods are what can be asked."""
    serve(lambda: make(name))


if __name__ == "__main__":
    main(sys.argv[1])
