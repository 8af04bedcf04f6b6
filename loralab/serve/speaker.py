"""Owns the one thread that may touch the model.

Invariants: one answer is written at a time, in the order asked; the adapter is on again after every answer, however it ended; an
answer nobody waits for any more ends at its next token.
"""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

from torch import nn

from loralab.encode import TextEncoder
from loralab.errors import Problem, classify
from loralab.records import Message
from loralab.serve.generate import Finish, Sampling, active_adapters, adapter_off, default_penalty, generate

Piece = str | Finish | Problem


class Speaker:
    """A model that answers. `busy` and `last_used` (seconds of time.monotonic) let the worker know when it is idle."""

    def __init__(self, model: nn.Module, encoder: TextEncoder, penalty: float | None = None) -> None:
        self.model, self.encoder = model.eval(), encoder
        self.adapters = list(active_adapters(model))
        self.penalty = penalty or default_penalty(model)
        self.closing = threading.Event()
        self.busy = 0  # answers being written or waited for; changed on the event loop only
        self.last_used = time.monotonic()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="speaker")

    async def speak(self, messages: list[Message], sampling: Sampling, adapter: bool) -> AsyncGenerator[Piece, None]:
        """Pieces of text, then a Finish; or a Problem. Closing this generator stops the writing."""
        loop, pieces = asyncio.get_running_loop(), asyncio.Queue[Piece | None]()
        given_up = threading.Event()

        def put(piece: Piece | None) -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

        self.busy += 1
        self._thread.submit(self._write, (messages, sampling, adapter), given_up, put)
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
        finally:
            given_up.set()
            self.busy -= 1
            self.last_used = time.monotonic()

    def _write(self, asked: tuple[list[Message], Sampling, bool], given_up: threading.Event, put: Callable[[Any], None]) -> None:
        """In the model's thread: write one answer unless nobody waits for it."""
        messages, sampling, adapter = asked
        try:
            with nullcontext() if adapter else adapter_off(self.model):
                answer = generate(self.model, self.encoder, messages, sampling)
                while not (given_up.is_set() or self.closing.is_set()):
                    try:
                        put(next(answer))
                    except StopIteration as end:
                        put(end.value)
                        break
                answer.close()
        except Exception as error:  # noqa: BLE001  goes to the asker in words; the next one gets an answer all the same
            traceback.print_exc()
            put(classify(error))
        finally:
            put(None)

    def close(self) -> None:
        """Stop writing and wait until the thread is free."""
        self.closing.set()
        self._thread.shutdown(wait=True, cancel_futures=True)
