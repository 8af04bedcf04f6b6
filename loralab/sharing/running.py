"""Owns the server's process from outside: start it, find it, stop it. `LORALAB_HOME/sharing/server.json` says where it is.

Invariants: one server for a workspace; it is believed only while that very process lives; the owner's key is for the owner's eyes.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
from pydantic import ValidationError

from loralab.core import paths
from loralab.core.child import ENVIRONMENT
from loralab.core.errors import RunFailed, UserError
from loralab.core.records import Record
from loralab.sharing import public
from loralab.sharing.addresses import LOOPBACK

NOTE, KEY, LOG, PORT = "server.json", "owner.key", "server.log", "port"
START_SECONDS, END_SECONDS = 60.0, 15.0
CLOCK_SLACK = 2.0  # seconds: birth times move when the clock is set
PROGRAM = "loralab.lab.serving"
MOST_LOG = 2 << 20  # bytes


class Serving(Record):
    """A server that answers. `house`: its addresses for other devices in the same network; `beyond`: the one in Tailscale's."""

    port: int
    pid: int
    born: float  # of the process
    house: tuple[str, ...] = ()
    beyond: str = ""

    @property
    def here(self) -> str:
        """Its address on this computer."""
        return f"http://{LOOPBACK[0]}:{self.port}"

    @property
    def places(self) -> tuple[str, ...]:
        """All addresses, the widest first."""
        return tuple(filter(None, (self.beyond, *self.house, self.here)))


def serving(home: Path) -> Serving | None:
    """The server of a workspace while it lives."""
    try:
        found = Serving.model_validate_json((home / "sharing" / NOTE).read_bytes())
        process = psutil.Process(found.pid)
        alive = process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - found.born) <= CLOCK_SLACK
    except (OSError, ValidationError, psutil.Error):
        return None
    return found.model_copy(update={"beyond": public.read(home).address}) if alive else None


def owner_key(home: Path) -> str:
    """The owner's key, made once."""
    path = paths.room("sharing", home) / KEY
    with suppress(OSError):
        if len(key := path.read_text("ascii").strip()) >= 32:
            return key
    paths.write_atomic(path, secrets.token_urlsafe(32), private=True)
    return path.read_text("ascii").strip()


def start(home: Path, port: int = 0, *, house: bool = False) -> Serving:
    """Start the server, or find it. Raises UserError where the port is taken, RunFailed where it does not start."""
    if not 0 <= port < 1 << 16:
        raise UserError("A port is a number from 1 to 65535.", "Leave it out, and a free one is taken.", code="bad_port")
    found = serving(home)
    if found and port in (0, found.port) and bool(found.house) == house:
        return found
    if found:
        stop(home)
    room = paths.room("sharing", home)
    port = port or _last_port(room)
    owner_key(home)
    (room / NOTE).unlink(missing_ok=True)
    child = _spawn(home, room, port, house=house)
    limit = time.monotonic() + START_SECONDS
    while time.monotonic() < limit and child.poll() is None:
        if found := serving(home):
            paths.write_atomic(room / PORT, str(found.port))
            return found
        time.sleep(0.05)
    child.kill()
    child.wait()
    if port and not _free(port):
        raise UserError(f"The port {port} is taken by another program.", "Choose another one, or leave it out.", code="port_taken")
    raise RunFailed("The server did not start.", f"The details are in {LOG} in the workspace's folder “sharing”.", code="not_started")


def stop(home: Path) -> bool:
    """Stop the server; whether there was one."""
    found = serving(home)
    if found is None:
        return False
    with suppress(psutil.Error):
        process = psutil.Process(found.pid)
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(END_SECONDS)
    (home / "sharing" / NOTE).unlink(missing_ok=True)
    return True


def _spawn(home: Path, room: Path, port: int, *, house: bool) -> subprocess.Popen[bytes]:
    """On its own: a new session, nothing on standard input, what it says in a file."""
    command = [sys.executable, "-m", PROGRAM, str(home), str(port), *(["house"] if house else [])]
    flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS if sys.platform == "win32" else 0
    log = room / LOG
    if log.is_file() and log.stat().st_size > MOST_LOG:
        log.unlink()
    with log.open("ab") as out:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=paths.CHECKOUT,
            env={**os.environ, **ENVIRONMENT, "LORALAB_HOME": str(home)},
            start_new_session=True,
            creationflags=flags,
        )


def _last_port(room: Path) -> int:
    """The port it had last, so that addresses stay as they are; 0 where that is taken now."""
    with suppress(OSError, ValueError):
        port = int((room / PORT).read_text("ascii"))
        return port if _free(port) else 0
    return 0


def _free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK[0], port))
        except OSError:
            return False
    return True
