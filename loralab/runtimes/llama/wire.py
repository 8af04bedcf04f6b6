"""Owns how parent and child talk: one JSON object per message over a pipe, with raw bytes behind it where there are any.

Invariant: a message is read whole or the reader learns that the other end has gone.
"""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO

_LENGTHS = struct.Struct("<QQ")  # bytes of JSON, bytes of payload


def send(stream: BinaryIO, message: dict[str, Any], payload: bytes = b"") -> None:
    """Write one message. Raises OSError when the other end has gone."""
    text = json.dumps(message).encode()
    stream.write(_LENGTHS.pack(len(text), len(payload)) + text + payload)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[dict[str, Any], bytes]:
    """Read one message. Raises EOFError when the other end has gone."""
    text, payload = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size))
    return json.loads(_exactly(stream, text)), _exactly(stream, payload)


def _exactly(stream: BinaryIO, wanted: int) -> bytes:
    read = stream.read(wanted) if wanted else b""
    if len(read) != wanted:
        raise EOFError
    return read
