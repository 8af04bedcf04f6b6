"""Owns the workspace's secret, with which patients become numbers: the same patient the same number, and nobody else can tell whose."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path

from loralab.core import paths
from loralab.datasets.images.place import store

_LENGTH = 12  # hex digits: a million patients are told apart


def secret(home: Path | None) -> bytes:
    """The secret of a workspace, made at its first use, for its owner's eyes only."""
    file = store(home) / "secret"
    if not file.exists():
        paths.write_atomic(file, secrets.token_hex(32), private=True)
    return bytes.fromhex(file.read_text("ascii"))


def numbered(key: bytes, *words: str) -> str:
    """A number for words, as HMAC-SHA256 (RFC 2104) of them; it cannot be turned back, nor made without the key."""
    return hmac.new(key, "\0".join(words).encode(), hashlib.sha256).hexdigest()[:_LENGTH]
