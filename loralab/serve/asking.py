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

from loralab.core.errors import RunFailed
from loralab.core.records import Record
from loralab.core.strict_json import load
from loralab.serve.client import OK, TURN_SECONDS, Note, shared_worker


class Ending(Record):
    """How an answer ended: stop or length, its tokens, and the adapters that took part, as the worker saw them."""

    reason: str
    prompt_tokens: int = 0
    tokens: int = 0
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
            response = await self._opened(stack, place, wanted | {"stream_options": {"include_usage": True}})
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

    async def _opened(self, stack: AsyncExitStack, place: Place, wanted: dict[str, Any]) -> httpx.Response:
        """The worker's answer, begun. One that went away in this very moment is started again once."""
        path = "/v1/completions" if place.engine == "gguf" and "prompt" in wanted else "/v1/chat/completions"
        for last in (False, True):
            note = await asyncio.to_thread(self.worker, place.model, place.numbers_of, place.engine)
            timeout = httpx.Timeout(TURN_SECONDS, connect=5.0)
            headers = {"Authorization": f"Bearer {note.token}"}
            client = await stack.enter_async_context(
                httpx.AsyncClient(base_url=f"http://127.0.0.1:{note.port}", headers=headers, timeout=timeout, trust_env=False)
            )
            try:
                response = await stack.enter_async_context(client.stream("POST", path, json=wanted))
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


def _gone() -> RunFailed:
    return RunFailed("The answer broke off: the model's process is gone.", "Ask again; it starts afresh.", code="chat_gone")
