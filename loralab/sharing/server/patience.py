"""Owns how long is waited for somebody who is slow, and how many connections one address may hold.

Invariant: whoever says what they want slowly, or not at all, takes no place from others for long.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from loralab.sharing.addresses import LOOPBACK

HEAD_S = 10.0  # seconds within which a request says what it is
MOST = 32  # connections of one address; this computer's own may be many people's, through Tailscale


class Patient(H11Protocol):
    """A connection that is closed where nothing whole comes in time."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Count it, and begin to wait."""
        super().connection_made(transport)
        mine = self.client[0] if self.client else ""
        if (
            mine not in LOOPBACK
            and sum(isinstance(one, Patient) and bool(one.client) and one.client[0] == mine for one in self.connections) > MOST
        ):
            transport.close()
            return
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Wait on, where what came in is not yet whole."""
        super().data_received(data)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._heard()
        super().connection_lost(exc)

    def _wait(self) -> None:
        cycle: Any = self.cycle  # none before the first request
        if cycle and not cycle.response_complete:  # it has said what it wants
            self._heard()
        elif self._late is None:
            self._late = self.loop.call_later(HEAD_S, self.transport.close)

    def _heard(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
