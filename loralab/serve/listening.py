"""Owns noticing that nobody listens any more. Invariant: when the asker hangs up, what was being made for them ends. No torch here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

PATIENCE = 0.2  # seconds between two looks whether the asker is still there

Gone = Callable[[], Awaitable[bool]]


async def while_there(pieces: AsyncIterator[Any], gone: Gone) -> AsyncGenerator[Any, None]:
    """Pass pieces on until they end or the asker hangs up; either way the writing is over when this is."""
    coming = asyncio.ensure_future(anext(pieces))
    try:
        while True:
            done, _ = await asyncio.wait({coming}, timeout=PATIENCE)
            if await gone():
                return
            if not done:
                continue
            try:
                piece = coming.result()
            except StopAsyncIteration:
                return
            yield piece
            coming = asyncio.ensure_future(anext(pieces))
    finally:
        if not coming.done():
            coming.cancel()
            await asyncio.wait({coming})
        await pieces.aclose()  # type: ignore[attr-defined]  # an async generator: tells the writing thread to stop
