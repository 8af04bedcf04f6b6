"""Owns the child process in which a runtime lives: `python -m loralab.runtimes.llama.child BACKEND`. For llama.cpp, no torch in it.

Invariants: nothing that llama.cpp prints can get into the conversation with the parent; it ends when the parent does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, Protocol

from loralab.runtimes.llama.wire import receive, send


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


def _backend(name: str) -> Backend:
    if name == "llama_cpp":
        from loralab.runtimes.llama.library import Library

        return Library()
    if name == "transformers":
        from loralab.runtimes.fresh import Transformers

        return Transformers()
    from loralab.runtimes.llama.server import Server

    return Server()


def _answer(backend: Backend, request: dict[str, Any], payload: bytes) -> tuple[Any, bytes]:
    """What was asked for: a value that fits in JSON, and bytes."""
    from loralab.runtimes.llama import quantizer

    name = request.pop("do")
    if name == "quantize":
        return None, quantizer.quantize(request["library"], request["type"], request["columns"], payload)
    found: Callable[..., Any] = getattr(backend, name)
    result = found(**request)
    return (None, result) if isinstance(result, bytes) else (result, b"")


def main(name: str, make: Callable[[str], Any] = _backend) -> None:
    """Answer requests until the parent has gone. `make` gives the backend of a name, whose methods are what can be asked."""
    speak = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints goes to the log
    listen = sys.stdin.buffer
    backend = make(name)
    send(speak, {"version": backend.version})
    while True:
        try:
            request, payload = receive(listen)
        except EOFError:
            os._exit(0)  # llama.cpp's own tidying at exit is known to fall over
        try:
            value, raw = _answer(backend, request, payload)
        except Exception as error:  # noqa: BLE001  whatever it was, the parent is told and decides
            send(speak, {"error": f"{type(error).__name__}: {error}"})
        else:
            send(speak, {"value": value}, raw)


if __name__ == "__main__":
    main(sys.argv[1])
