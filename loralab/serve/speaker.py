"""Owns the one thread that may touch the model.

Invariants: at most two answers are written at a time (a before and an after), taking turns piece by piece; others wait in the order
asked; the adapter is on again after every piece, however it ended; an answer nobody waits for any more ends at its next token.
"""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import nn

from loralab.core.errors import LabError, Problem, classify
from loralab.models.tokenize import TextEncoder
from loralab.serve.embed import Vector, embed
from loralab.serve.generate import Finish, Prompt, Sampling, active_adapters, adapter_off, default_penalty, generate

Piece = str | Vector | Finish | Problem
Write = Callable[[Any, TextEncoder, Prompt, Sampling], Generator[str, None, Finish]]  # `generate`, or the like for another engine
AT_ONCE = 2  # answers that take turns; each keeps what it has read in memory


class Voices(Protocol):
    """Adapters that are named with each question: within `using` the model answers with this one, by its folder."""

    def using(self, adapter: str) -> AbstractContextManager[tuple[nn.Module, TextEncoder]]: ...


@dataclass
class _Answer:
    """An answer that is wanted, or being written: `pieces` once it was begun. `adapter`: the one the model has, none, or a folder."""

    prompt: Prompt
    sampling: Sampling
    adapter: bool | str
    put: Callable[[Piece | None], None]
    write: Callable[[Any, TextEncoder, Prompt, Sampling], Generator[str | Vector, None, Finish]]
    given_up: threading.Event = field(default_factory=threading.Event)
    pieces: Generator[str | Vector, None, Finish] | None = None


class Speaker:
    """A model that answers. `busy` and `last_used` (seconds of time.monotonic) let the worker know when it is idle."""

    def __init__(
        self, model: Any, encoder: TextEncoder, penalty: float | None = None, voices: Voices | None = None, write: Write = generate
    ) -> None:
        torch = isinstance(model, nn.Module)
        self.model, self.encoder, self.voices, self.write = model.eval() if torch else model, encoder, voices, write
        self.adapters = list(active_adapters(model)) if torch else []
        self.penalty = penalty or default_penalty(model)
        self.closing = threading.Event()
        self.busy = 0  # answers being written or waited for; changed on the event loop only
        self.last_used = time.monotonic()
        self._waiting: deque[_Answer] = deque()
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="speaker")

    def speak(self, prompt: Prompt, sampling: Sampling, adapter: bool | str) -> AsyncGenerator[Piece, None]:
        """Pieces of text, then a Finish; or a Problem. Closing this generator stops the writing."""
        return self._turn(prompt, sampling, adapter, self.write)

    def embed(self, text: str, adapter: bool | str) -> AsyncGenerator[Piece, None]:
        """The text as a Vector, then a Finish; or a Problem."""

        def write(model: Any, encoder: TextEncoder, _: Prompt, __: Sampling) -> Generator[Vector, None, Finish]:
            if not isinstance(model, nn.Module):
                todo = "Ask the same model as it was trained."
                raise LabError("In this form the model does not tell what it reads in numbers.", todo, code="embeddings_unsupported")
            return embed(model, encoder, text)

        return self._turn(text, Sampling(), adapter, write)

    async def _turn(self, prompt: Prompt, sampling: Sampling, adapter: bool | str, write: Any) -> AsyncGenerator[Piece, None]:
        loop, pieces = asyncio.get_running_loop(), asyncio.Queue[Piece | None]()

        def put(piece: Piece | None) -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

        wanted = _Answer(prompt, sampling, adapter, put, write)
        self.busy += 1
        with self._lock:
            self._waiting.append(wanted)
        self._thread.submit(self._take_turns)
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
        finally:
            wanted.given_up.set()
            self.busy -= 1
            self.last_used = time.monotonic()

    def _take_turns(self) -> None:
        """In the model's thread: write all that is wanted, two at a time; what is asked for meanwhile joins in."""
        writing: list[_Answer] = []
        while True:
            with self._lock:
                while len(writing) < AT_ONCE and self._waiting:
                    writing.append(self._waiting.popleft())
            if not writing:
                return
            for answer in list(writing):
                if not self._write_piece(answer):
                    writing.remove(answer)
                    answer.put(None)

    def _write_piece(self, answer: _Answer) -> bool:
        """The next piece of an answer; False when that was the last, or nobody waits for it any more."""
        if answer.given_up.is_set() or self.closing.is_set():
            if answer.pieces is not None:
                answer.pieces.close()
            return False
        try:
            with self._using(answer.adapter) as (model, encoder):
                answer.pieces = answer.pieces or answer.write(model, encoder, answer.prompt, answer.sampling)
                answer.put(next(answer.pieces))
        except StopIteration as end:
            answer.put(end.value)
        except Exception as error:  # noqa: BLE001  goes to the asker in words; the next one gets an answer all the same
            traceback.print_exc()
            answer.put(classify(error))
        else:
            return True
        return False

    @contextmanager
    def _using(self, adapter: bool | str) -> Generator[tuple[Any, TextEncoder]]:
        """The model as this answer wants it."""
        if self.voices is not None:
            with self.voices.using(adapter if isinstance(adapter, str) else "") as voice:
                yield voice
        elif adapter or not isinstance(self.model, nn.Module):
            yield self.model, self.encoder
        else:
            with adapter_off(self.model):
                yield self.model, self.encoder

    def close(self) -> None:
        """Stop writing and wait until the thread is free."""
        self.closing.set()
        self._thread.shutdown(wait=True)
