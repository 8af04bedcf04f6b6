"""Owns the note that says where a running app is. Invariant: a note is believed only after the app it names has answered for it."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

from loralab.core.paths import write_atomic
from loralab.setup.doorway import HOST

_NOTE = "app.json"


def write_note(home: Path, pid: int, port: int, token: str) -> None:
    """Say that the app of this workspace is at this port. The token is for this user's eyes."""
    write_atomic(home / _NOTE, json.dumps({"pid": pid, "port": port, "token": token}), private=True)


def remove_note(home: Path, token: str) -> None:
    """Take our own note away; somebody else's stays."""
    if read_note(home).get("token") == token:
        (home / _NOTE).unlink(missing_ok=True)


def read_note(home: Path) -> dict[str, object]:
    """The note as it stands, nothing when there is none or it is not whole."""
    try:
        note = json.loads((home / _NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def running_port(home: Path, patience_s: float = 0.0) -> int | None:
    """The port of this workspace's running app, None when there is none. `patience_s` covers an app that is just writing its note."""
    ends = time.monotonic() + patience_s
    while True:
        note = read_note(home)
        port, token = note.get("port"), note.get("token")
        if isinstance(port, int) and isinstance(token, str) and _says_yes(port, token):
            return port
        if time.monotonic() >= ends:
            return None
        time.sleep(0.05)


def _says_yes(port: int, token: str) -> bool:
    """Whether the program at this port knows the token."""
    try:
        with socket.create_connection((HOST, port), timeout=2) as asked:
            asked.sendall(f"GET /.launch/hello?token={token} HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode())
            return asked.recv(64).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False
