"""Owns asking a shared worker from an event loop: the answer piece by piece, then how it ended. No torch here.

Invariants: leaving the loop early stops the worker's writing; an answer that broke off raises, it never just ends.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx

from loralab.core.errors import LabError, RunFailed, UserError
from loralab.core.records import Record
from loralab.core.strict_json import load
from loralab.core.words import count
from loralab.serve.client import GGUF_NUMBERS, OK, TURN_SECONDS, Note, shared_worker


class Ending(Record):
    """How an answer ended: stop or length, its tokens, and the adapters that took part, as the worker saw them."""

    reason: str
    prompt_tokens: int = 0
    tokens: int = 0
    active: tuple[str, ...] = ()


class Embedded(Record):
    """A text as numbers, how many tokens it has, and the adapters that took part."""

    numbers: tuple[float, ...]
    tokens: int
    active: tuple[str, ...] = ()


class Place(Record):
    """What is to answer: a base with an adapter over it, or what was exported for an engine (onnx, gguf).

    `adapter` empty: the bare base, in the numbers that the adapter `numbers_of` was trained in.
    """

    model: str
    adapter: str = ""
    numbers_of: str = ""
    engine: str = ""


class Workers:
    """The workers of a workspace, each for one base in one kind of numbers; started with the first question."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._starting = threading.Lock()  # two first questions start one worker

    def worker(self, model: str, adapter: str, engine: str = "") -> Note:
        """The worker for a base. Blocks while it starts. Raises RunFailed in its own words."""
        with self._starting:
            return shared_worker(self.home, model, adapter, engine)

    async def answer(self, place: Place, asked: dict[str, Any]) -> AsyncGenerator[str | Ending, None]:
        """Pieces of text, then the Ending. Raises RunFailed with the worker's own code where it cannot answer."""
        wanted = {**asked, "stream": True, "folder": place.adapter, "adapter": "on" if place.adapter else "off"}
        async with AsyncExitStack() as stack:
            path = "/v1/completions" if place.engine == "gguf" and "prompt" in wanted else "/v1/chat/completions"
            response = await self._opened(stack, place, path, wanted | {"stream_options": {"include_usage": True}})
            reason, usage, active = "", dict[str, Any](), tuple[str, ...]()
            try:
                async for line in response.aiter_lines():
                    if not line.startswith("data: ") or line == "data: [DONE]":
                        continue
                    chunk = load(line.removeprefix("data: "))
                    if "error" in chunk:
                        raise _said(chunk["error"])
                    usage = chunk.get("usage") or usage
                    active = tuple(chunk.get("active_adapters", active))
                    for choice in chunk["choices"][:1]:
                        reason = choice["finish_reason"] or reason
                        if piece := choice.get("text") or choice.get("delta", {}).get("content"):
                            yield piece
            except httpx.TransportError as error:
                raise _gone() from error
        if not reason:
            raise _gone()
        told = (int(usage.get("prompt_tokens", 0)), int(usage.get("completion_tokens", 0)))
        yield Ending(reason=reason, prompt_tokens=told[0], tokens=told[1], active=active or (("merged",) if place.engine else ()))

    async def embed(self, place: Place, texts: tuple[str, ...]) -> AsyncGenerator[Embedded, None]:
        """Each text as numbers, one after the other. Raises RunFailed with the worker's own code where it cannot."""
        about = {"folder": place.adapter, "adapter": "on" if place.adapter else "off"}
        if place.engine == "gguf":
            place = place.model_copy(update={"engine": GGUF_NUMBERS})
        for text in texts:  # one at a time: others get their turn in between (and llama.cpp mixes up texts it reads together)
            async with AsyncExitStack() as stack:
                if place.engine == GGUF_NUMBERS:
                    await self._must_fit(place, text)
                response = await self._opened(stack, place, "/v1/embeddings", {**about, "input": text})
                try:
                    told = load(await response.aread())
                except httpx.TransportError as error:
                    raise _gone() from error
            active = tuple(told.get("active_adapters", ("merged",) if place.engine else ()))
            yield Embedded(numbers=told["data"][0]["embedding"], tokens=int(told["usage"]["prompt_tokens"]), active=active)

    async def _must_fit(self, place: Place, text: str) -> None:
        """Raises UserError for a text that llama.cpp would break at."""
        async with AsyncExitStack() as stack:
            found = await self._opened(stack, place, "/tokenize", {"content": text, "add_special": True})
            tokens = len(load(await found.aread())["tokens"])
            most = load(await (await self._opened(stack, place, "/slots", None)).aread())[0]["n_ctx"]
        if tokens > most:
            raise too_long(tokens, most)

    async def _opened(self, stack: AsyncExitStack, place: Place, path: str, wanted: dict[str, Any] | None) -> httpx.Response:
        """The worker's answer, begun. One that went away in this very moment is started again once."""
        for last in (False, True):
            note = await asyncio.to_thread(self.worker, place.model, place.numbers_of, place.engine)
            timeout = httpx.Timeout(TURN_SECONDS, connect=5.0)
            headers = {"Authorization": f"Bearer {note.token}"}
            client = await stack.enter_async_context(
                httpx.AsyncClient(base_url=f"http://127.0.0.1:{note.port}", headers=headers, timeout=timeout, trust_env=False)
            )
            try:
                response = await stack.enter_async_context(client.stream("GET" if wanted is None else "POST", path, json=wanted))
            except httpx.TransportError as error:
                if last:
                    raise _gone() from error
                continue
            if response.status_code != OK:
                await response.aread()
                raise _said(response.json().get("error", {}))
            return response
        raise _gone()


def _said(problem: dict[str, Any]) -> RunFailed:
    return RunFailed(str(problem.get("message") or "The model could not answer."), code=str(problem.get("code") or "chat_failed"))


def too_long(tokens: int, most: int) -> LabError:
    """What is said of a text that a model cannot take at once."""
    what = f"This text has {count(tokens, 'token')}; this model reads {most:,} at once."
    return UserError(what, "Send it in shorter pieces.", code="too_long")


def _gone() -> RunFailed:
    return RunFailed("The answer broke off: the model's process is gone.", "Ask again; it starts afresh.", code="chat_gone")
