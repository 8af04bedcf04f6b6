"""Owns the session of the cramped task: the text session, whose allocator fails on every longer example it learns from."""

from __future__ import annotations

from typing import Any

from loralab.sessions.text import TextSession
from loralab.train.session import Batch


class CrampedSession(TextSession):
    """See loralab.sessions.text.TextSession."""

    def loss(self, batch: Batch) -> Any:
        if self.model.training and batch.largest > 40:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")
        return super().loss(batch)
