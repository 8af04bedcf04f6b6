"""Owns the address a person sees: a page at once, and the app behind the same address as soon as it answers.

It covers: the first page within the first tenths of a second, set-up progress, and passing every connection on to the app, byte for byte.
It does not cover: anything the app says. Only `/.launch/...` is answered here, and only on a connection's first request.

Invariant: it listens on loopback only, and a page that was served before the app was ready turns into the app by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import os
import socket
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from loralab.setup.progress import Progress

HOST = "127.0.0.1"
_HEAD_LIMIT = 2**16
_CHUNK = 2**18
PAGE = Path(__file__).with_name("splash.html")


def bind(port: int) -> socket.socket:
    """A listening socket on loopback; port 0 takes any free one. Raises OSError when the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "nt":  # there, SO_REUSEADDR would let two programs share one port
            listener.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_EXCLUSIVEADDRUSE"), 1)  # noqa: B009 (not defined elsewhere)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def free_port() -> int:
    """A port nothing listens on right now."""
    with bind(0) as listener:
        return listener.getsockname()[1]


class Doorway:
    """Answers on the visible address. `app_port` is None until the app is ready."""

    def __init__(self, progress: Progress, token: str) -> None:
        self.progress = progress
        self.token = token
        self.app_port: int | None = None
        self.told = asyncio.Event()  # a page has seen the end of the start, good or bad
        self._page = PAGE.read_bytes()

    async def visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection; a visitor who leaves early is nobody's error, nor is a door that closes on one who stays."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                answer = self.answer(head)
                if answer is None:
                    await self._pass_on(head, reader, writer)
                else:
                    writer.write(answer)
                    await writer.drain()
            finally:
                writer.close()

    def answer(self, head: bytes) -> bytes | None:
        """What is said to a request's head from here; None when the app answers it."""
        method, _, rest = head.partition(b" ")
        target = urlsplit(rest.partition(b" ")[0].decode("latin-1"))
        if target.path == "/.launch/state":
            if self.progress.phase in ("ready", "failed"):
                self.told.set()
            return _reply("200 OK", "application/json", json.dumps(self.progress.snapshot()).encode())
        if target.path == "/.launch/hello":
            token = parse_qs(target.query).get("token", [""])[0]
            known = hmac.compare_digest(token.encode(), self.token.encode())
            return _reply("200 OK" if known else "404 Not Found", "application/json", json.dumps({"loralab": known}).encode())
        if self.app_port is not None:
            return None
        if method not in (b"GET", b"HEAD"):
            return _reply("503 Service Unavailable", "text/plain", b"LoRALab is starting.")
        return _reply("200 OK", "text/html; charset=utf-8", self._page if method == b"GET" else b"")

    async def _pass_on(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Join the visitor and the app until both have said all."""
        app_reader, app_writer = await asyncio.open_connection(HOST, self.app_port)
        try:
            app_writer.write(head)
            await asyncio.gather(_pump(reader, app_writer), _pump(app_reader, writer))
        finally:
            app_writer.close()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(_CHUNK):
            target.write(data)
            await target.drain()
    finally:
        with contextlib.suppress(OSError, RuntimeError):
            target.write_eof()


def _reply(status: str, kind: str, body: bytes) -> bytes:
    fields = (f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", "Cache-Control: no-store", "Connection: close")
    return "\r\n".join((*fields, "", "")).encode("latin-1") + body


async def answers(port: int) -> bool:
    """Whether something behind this port serves a page."""
    try:
        reader, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    try:
        writer.write(f"GET / HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n".encode())
        status = await asyncio.wait_for(reader.readline(), 60)
    except (OSError, TimeoutError, asyncio.TimeoutError):
        return False
    finally:
        writer.close()
    return status.startswith(b"HTTP/1.1 ") and status[9:10] in (b"2", b"3")


async def open_door(listener: socket.socket, doorway: Doorway) -> asyncio.Server:
    """Begin to answer on the socket."""
    return await asyncio.start_server(doorway.visit, sock=listener, limit=_HEAD_LIMIT)
