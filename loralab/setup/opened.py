"""Owns where the app is: its port, and the note that says how to open the app of a workspace (app.json).

Invariant: the note holds the secret of this start, so only this user may read it; it is believed only after the link it names has answered.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from loralab.setup.progress import SetupProblem

HOST = "127.0.0.1"
PREFERRED_PORT = 7860
_NOTE = "app.json"


def write_note(home: Path, link: str) -> None:
    """Say that this link opens the app of this workspace, or the page that shows how far its start is."""
    handle, temporary = tempfile.mkstemp(dir=home, prefix=f".{_NOTE}.")  # made for this user only
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump({"pid": os.getpid(), "link": link}, file)
    os.replace(temporary, home / _NOTE)


def remove_note(home: Path) -> None:
    """Take our own note away; somebody else's stays."""
    if _read(home).get("pid") == os.getpid():
        (home / _NOTE).unlink(missing_ok=True)


def _read(home: Path) -> dict[str, object]:
    try:
        note = json.loads((home / _NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def running_link(home: Path) -> str | None:
    """The link that opens this workspace's running app, None when there is none."""
    link = _read(home).get("link")
    return link if isinstance(link, str) and opens(link) else None


def opens(link: str, patience_s: float = 5) -> bool:
    """Whether the program behind a link lets its holder in."""
    to = urlsplit(link)
    if to.hostname != HOST:
        return False
    try:
        asked = http.client.HTTPConnection(HOST, to.port, timeout=patience_s)
        asked.request("GET", f"{to.path}?{to.query}" if to.query else to.path)
        return asked.getresponse().status in (200, 303)
    except (OSError, ValueError, http.client.HTTPException):
        return False


def choose_port(asked: int | None) -> int:
    """The asked port; unasked the usual one or any that is free. Raises SetupProblem when the asked one is taken."""
    for port in (asked,) if asked is not None else (PREFERRED_PORT, 0):
        try:
            with socket.create_server((HOST, port)) as found:
                return found.getsockname()[1]
        except OSError:
            continue
    raise SetupProblem(f"Port {asked} is used by another program: name no port and a free one is taken.")
