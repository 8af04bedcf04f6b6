"""Owns the road on which an open page is told what is new: one stream a window, outside of Gradio's events, which walk the whole page.

Invariant: nothing is sent while nothing changes but a line that keeps the road open; it ends with the app.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import Request
from fastapi.responses import StreamingResponse

from ui.errors import LOG
from ui.live.message import Watched, Window

LIVE = "/lab/live"
LOOK_EVERY = 1.0  # seconds
SILENT = 20  # looks without news after which a line says that the road is open
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


class Stream:
    """The route. `close` ends every stream at its next look."""

    def __init__(self, watched: Watched) -> None:
        self.watched, self.closing = watched, False

    async def live(self, request: Request, run: str = "", after: int = 0) -> StreamingResponse:
        """What is new about a run and the lab; `after`: the last update that the page has."""
        window = Window(self.watched, run, after)
        return StreamingResponse(self._lines(request, window), media_type="text/event-stream", headers=HEADERS)

    async def _lines(self, request: Request, window: Window) -> AsyncIterator[str]:
        silent = 0
        while not self.closing and not await request.is_disconnected():
            try:
                told = await asyncio.to_thread(window.look)
            except Exception as error:  # noqa: BLE001  (whatever a look meets, the next one may do)
                LOG.error("live: a look failed", exc_info=error)
                told = None
            silent = 0 if told else silent + 1
            if told:
                yield f"data: {told.model_dump_json(exclude_none=True)}\n\n"
            elif silent % SILENT == 0:
                yield ": open\n\n"
            await asyncio.sleep(LOOK_EVERY)
