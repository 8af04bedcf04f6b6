"""Owns what an operation is: path, to whom it opens, what it takes and gives, and the function that does it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from loralab.sharing.server.site import Handler

ANYBODY, OWNER = frozenset({"anybody"}), frozenset[str]()


@dataclass(frozen=True)
class Operation:
    """One way to ask. `opens`: the scopes of links it opens to (the owner always); `counts`: it is a use of the link."""

    method: str
    path: str
    opens: frozenset[str]
    summary: str
    do: Handler
    takes: type[Any] | None = None
    gives: type[Any] | None = None
    file: str = ""  # the field of a form
    query: tuple[str, ...] = ()
    media: str = "application/json"
    counts: bool = False

    @property
    def in_path(self) -> list[str]:
        """Names within its path."""
        return re.findall(r"\{(\w+)", self.path)
