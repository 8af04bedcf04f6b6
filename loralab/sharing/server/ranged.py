"""Owns files as answers, in ranges. Invariant: a range that is none, or lies beyond the file, is refused in the shape of every refusal."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from loralab.sharing.server.gate import refusal

REFUSED = 400  # statuses from here on


class RangedFile(FileResponse):
    """A file, or the part of it that was asked for."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Starlette refuses a range in plain text: it is told in words instead."""
        told: Message | None = None

        async def shaped(message: Message) -> None:
            nonlocal told
            if message["type"] == "http.response.start" and message["status"] >= REFUSED:
                told = message
            elif told is None:
                await send(message)

        await super().__call__(scope, receive, shaped)
        if told is not None:
            size = MutableHeaders(raw=told["headers"]).get("content-range")
            what = "There is no such part of this file: ask for other bytes."
            response = refusal(told["status"], "bad_range", what, **({"content-range": size} if size else {}))
            await response(scope, receive, send)
