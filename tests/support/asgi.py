"""Asks a web application in this process, byte for byte: no client of anybody's tidies up what is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Headers = Sequence[tuple[bytes, bytes]]
HOME = (b"host", b"127.0.0.1:80")


@dataclass
class Heard:
    """What came back."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


async def ask(
    app: Any, method: str, path: str, headers: Headers = (), body: bytes = b"", query: bytes = b"", peer: str = "127.0.0.1"
) -> Heard:
    """One request; the asker stays until it is answered."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("utf-8", "replace"),
        "root_path": "",
        "query_string": query,
        "headers": [*headers] if any(name == b"host" for name, _ in headers) else [HOME, *headers],
        "client": (peer, 40000),
        "server": ("127.0.0.1", 80),
    }
    heard, parts, sent = Heard(), [], False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}
        await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            heard.status = message["status"]
            heard.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]}
        else:
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    heard.body = b"".join(parts)
    return heard


def bearer(token: str) -> tuple[bytes, bytes]:
    """A key as programs send it."""
    return b"authorization", b"Bearer " + token.encode("utf-8", "replace")
