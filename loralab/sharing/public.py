"""Owns the note on what the server may be called and how far it reaches beyond the house: `LORALAB_HOME/sharing/public.json`.

Invariant: the app writes it, the server only reads it; what it does not name is not answered.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from loralab.core import paths
from loralab.core.records import Record

FILE = "public.json"


class Public(Record):
    """Beyond the house. `host` is the name in the Tailscale network, `port` the one taken there; 0: it is not shared there."""

    host: str = ""
    port: int = 0
    to: int = 0  # the port of this computer that it leads to
    proven: bool = False  # our own answer came back through that name
    funnel_until: float = 0.0  # open to the whole internet until then

    @property
    def address(self) -> str:
        """The address others open; empty where there is none that was tried."""
        if not self.port or not self.proven:
            return ""
        return f"https://{self.host}" if self.port == 443 else f"https://{self.host}:{self.port}"

    @property
    def funnelled(self) -> bool:
        """Whether anybody on the internet may ask."""
        return time.time() < self.funnel_until


def read(home: Path) -> Public:
    """What holds now."""
    with suppress(OSError, ValidationError):
        return Public.model_validate_json((home / "sharing" / FILE).read_bytes())
    return Public()


def write(home: Path, note: Public) -> Public:
    """Say what holds from now on."""
    paths.write_atomic(paths.room("sharing", home) / FILE, note.model_dump_json(indent=2), private=True)
    return note
