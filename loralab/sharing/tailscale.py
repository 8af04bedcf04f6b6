"""Owns Tailscale, through its own program: find it, ask it, let it serve one port of ours, take that down again.

Invariants: what others set up there is never touched; "shared" is said only after our own answer came back through the new name; the
whole internet is let in only by a typed address, for a day at most, and never to what is private; each refusal says what to click.
"""

from __future__ import annotations

import getpass
import json
import os
import queue
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx

from loralab.core.errors import LabError, UserError
from loralab.core.records import Record
from loralab.sharing import links, public
from loralab.sharing.deployment import deployments
from loralab.sharing.public import Public

PROGRAM = "LORALAB_TAILSCALE"  # environment: another place of its program
PORTS = (443, 8443, 10000)  # that it serves, in the order they are tried
STATUS_SECONDS, KILL_SECONDS = 3.5, 0.5  # it takes 1.8 to 2.6 s on Windows
SERVE_SECONDS = 12.0  # a command that waits for a click waits for ever
HEALTH_SECONDS = 30.0  # the first certificate takes its time
FUNNEL_HOURS = 24.0
HEALTH = "/health"
_LINK = re.compile(r"https://login\.tailscale\.com/\S+")
PLACES: dict[str, tuple[str, ...]] = {
    "darwin": ("/Applications/Tailscale.app/Contents/MacOS/Tailscale", "/opt/homebrew/bin/tailscale", "/usr/local/bin/tailscale"),
    "win32": (r"%ProgramW6432%\Tailscale\tailscale.exe", r"%ProgramFiles%\Tailscale\tailscale.exe"),
    "linux": ("/usr/bin/tailscale", "/usr/local/bin/tailscale", "/snap/bin/tailscale"),
}


class Click(UserError):
    """Tailscale waits for a click: `link` is the page of theirs where it is made."""

    def __init__(self, what: str, todo: str, code: str, link: str) -> None:
        super().__init__(what, todo, code=code)
        self.link = link


class Tailnet(Record):
    """How it stands with Tailscale here. `words` say it, `host` is this computer's name there."""

    state: Literal["ready", "absent", "off", "signed_out", "odd"]
    words: str
    todo: str = ""
    host: str = ""


def find() -> Path | None:
    """Its program; None where there is none."""
    if named := os.environ.get(PROGRAM):
        return Path(named) if Path(named).is_file() else None
    if on_path := shutil.which("tailscale"):
        return Path(on_path)
    places = (Path(os.path.expandvars(place)) for place in PLACES.get(sys.platform, ()))
    return next((place for place in places if place.is_file()), None)


def look() -> Tailnet:
    """Ask it how it stands. Never raises: what is odd is a state, too."""
    if find() is None:
        todo = "Install it from tailscale.com/download, sign in, and press the button again. It is free for a family."
        return Tailnet(state="absent", words="Tailscale is not on this computer.", todo=todo)
    said = _run("status", "--json", seconds=STATUS_SECONDS)
    try:
        told = json.loads(said.out)
        state, host = str(told["BackendState"]), str((told.get("Self") or {}).get("DNSName") or "").rstrip(".").lower()
    except (ValueError, KeyError, TypeError, AttributeError):
        words = "Tailscale did not say how it stands." if not said.late else "Tailscale did not answer in time."
        return Tailnet(state="odd", words=words, todo="Open Tailscale's own window, see that it is connected, and try again.")
    if state == "NeedsLogin":
        return Tailnet(state="signed_out", words="Nobody is signed in to Tailscale here.", todo="Open Tailscale, sign in, and try again.")
    if state != "Running":
        return Tailnet(state="off", words="Tailscale is switched off.", todo="Open Tailscale, switch it on, and try again.")
    if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", host):
        todo = "In Tailscale's admin page under DNS, switch MagicDNS on."
        return Tailnet(state="odd", words="This computer has no name in your Tailscale network.", todo=todo)
    return Tailnet(state="ready", words=f"Ready as {host}.", host=host)


def share(home: Path, port: int, *, funnel: str = "", hours: float = FUNNEL_HOURS) -> str:
    """Serve a port of this computer under its Tailscale name; the address, once our own answer came back through it.

    `funnel`: that address, typed again, opens it to the whole internet for `hours`. Raises Click where a page of theirs has to be
    clicked first, UserError for every other refusal.
    """
    net = look()
    if net.state != "ready":
        raise UserError(net.words, net.todo, code=f"tailscale_{net.state}")
    there = _port_for(port, net.host)
    open_ = Public(host=net.host, port=there, to=port)
    if funnel:
        _may_funnel(home, funnel, open_.model_copy(update={"proven": True}).address, hours)
    public.write(home, open_)  # before it is reached: the server answers to this name from now on
    try:
        _order("funnel" if funnel else "serve", "--bg", "--yes", f"--https={there}", f"http://127.0.0.1:{port}")
        proven = open_.model_copy(update={"proven": True})
        _came_through(proven.address)
    except LabError:
        take_down(home)
        raise
    until = time.time() + 3600 * hours if funnel else 0.0
    return public.write(home, proven.model_copy(update={"funnel_until": until})).address


def take_down(home: Path) -> None:
    """Stop serving what we serve there; nothing where we do not. Where its program is gone, that is over anyway."""
    note = public.read(home)
    public.write(home, Public())
    if note.port and find() is not None:
        _run("funnel" if note.funnel_until else "serve", f"--https={note.port}", "off", seconds=SERVE_SECONDS)


def tidy(home: Path, port: int) -> None:
    """Close what a crash left: a way in that leads to another port than the server's, or a funnel whose time is over."""
    note = public.read(home)
    if note.port and (note.to != port or (note.funnel_until and not note.funnelled)):
        take_down(home)


# ---- what may be opened ----------------------------------------------------------------------------------------------------


def _may_funnel(home: Path, typed: str, address: str, hours: float) -> None:
    """Raise UserError where the whole internet is not to be let in."""
    if typed.strip().rstrip("/").removeprefix("https://") != address.removeprefix("https://"):
        raise UserError("The address that was typed is not the one that would be opened.", f"Type {address}.", code="not_confirmed")
    if not 0 < hours <= FUNNEL_HOURS:
        raise UserError("The whole internet is let in for a day at most.", "Choose 24 hours or fewer.", code="bad_hours")
    open_ = [link for link in links.links(home) if link.state == "open"]
    if any(link.scope == "weights" for link in open_):
        what = "There are open links that hand out what was learned itself."
        raise UserError(what, "Close these links first: they are not for the whole internet.", code="weights_open")
    linked = {link.deployment for link in open_}
    private = next((one for one in deployments(home) if one.id in linked and one.private), None)
    if private:
        what = f"“{private.title}” is not for the whole internet. {private.private}"
        raise UserError(what, "Share it inside your Tailscale network only, or close its links first.", code="private")


# ---- its program -----------------------------------------------------------------------------------------------------------


class Told(Record):
    """What the program said. `late`: it did not end by itself."""

    out: str = ""
    err: str = ""
    code: int = 0
    late: bool = False

    @property
    def all(self) -> str:
        return f"{self.out}\n{self.err}".strip()


def _run(*arguments: str, seconds: float, until: re.Pattern[str] | None = None) -> Told:
    """Run it; ended after `seconds`, or as soon as it has said what `until` matches and waits."""
    program = find()
    if program is None:
        return Told(code=127)
    hidden = subprocess.CREATE_NO_WINDOW if sys.platform == "win32" else 0
    child = subprocess.Popen(
        [str(program), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        creationflags=hidden,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    said: queue.Queue[tuple[str, str]] = queue.Queue()
    readers = [threading.Thread(target=_read, args=(child, name, said), daemon=True) for name in ("stdout", "stderr")]
    for reader in readers:
        reader.start()
    parts, limit, late = {"stdout": "", "stderr": ""}, time.monotonic() + seconds, False
    while any(reader.is_alive() for reader in readers) or not said.empty():
        with suppress(queue.Empty):
            name, line = said.get(timeout=0.05)
            parts[name] += line
        if time.monotonic() > limit or (until and until.search(parts["stdout"] + parts["stderr"])):
            late = True
            break
    try:
        child.wait(KILL_SECONDS if late else max(KILL_SECONDS, limit - time.monotonic()))
    except subprocess.TimeoutExpired:
        late = True
        child.kill()
        child.wait()
    return Told(out=parts["stdout"], err=parts["stderr"], code=child.returncode, late=late)


def _read(child: subprocess.Popen[str], name: str, said: queue.Queue[tuple[str, str]]) -> None:
    with getattr(child, name) as pipe:
        for line in pipe:
            said.put((name, line))


def _port_for(port: int, host: str) -> int:
    """The first of its ports that is free, already ours, or points at nothing that lives. Raises UserError where all are taken."""
    said = _run("serve", "status", "--json", seconds=STATUS_SECONDS)
    try:
        told: Any = json.loads(said.out or "{}") or {}
        web, tcp = told.get("Web") or {}, told.get("TCP") or {}
        taken = {int(known) for known in tcp}
        ways = {at: _only_proxy((web.get(f"{host}:{at}") or {}).get("Handlers") or {}) for at in taken}
    except (ValueError, TypeError, AttributeError) as error:
        todo = "Open Tailscale's own window, see that it is connected, and try again."
        raise UserError("Tailscale did not say what it serves already.", todo, code="tailscale_odd") from error
    for at in PORTS:
        if at not in taken or ways[at] == port or (ways[at] and not _lives(ways[at])):
            return at
    todo = "Take one of them down in Tailscale (tailscale serve status shows them), then try again."
    raise UserError("Tailscale serves other things on all three of its ports.", todo, code="tailscale_taken")


def _only_proxy(handlers: dict[str, Any]) -> int:
    """The loopback port that one whole mount leads to; 0 for anything else, which is somebody's own."""
    if list(handlers) != ["/"]:
        return 0
    to = urlsplit(str(handlers["/"].get("Proxy") or ""))
    return (to.port or 0) if to.hostname in ("127.0.0.1", "localhost") else 0


def _lives(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.5):
        return True
    return False


def _order(*arguments: str) -> None:
    """Let it serve. Raises Click or UserError with what to do."""
    said = _run(*arguments, seconds=SERVE_SECONDS, until=_LINK)
    text = said.all
    link = _LINK.search(text)
    if link:
        todo = "Open the page, allow it there, and press the button again."
        raise Click("Tailscale asks you first whether it may serve from this computer.", todo, "tailscale_consent", link[0])
    if "access denied" in text.lower() or "--operator" in text:
        todo = f"Ask whoever set this computer up to make “{getpass.getuser()}” the operator of Tailscale; it is done once."
        raise UserError("Tailscale does not let this user serve.", todo, code="tailscale_denied")
    if "not logged in" in text.lower() or "needslogin" in text.lower():
        raise UserError("Nobody is signed in to Tailscale here.", "Open Tailscale, sign in, and try again.", code="tailscale_signed_out")
    if said.late:
        raise UserError("Tailscale did not answer in time.", "Look at its own window, then try again.", code="tailscale_late")
    if said.code:
        last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it said nothing")
        raise UserError(f"Tailscale refused: {last[:200]}", "Look at its own window, then try again.", code="tailscale_refused")


def _came_through(address: str) -> None:
    """Ask for our own health through the new name. Raises UserError where it does not come back."""
    limit, last = time.monotonic() + HEALTH_SECONDS, ""
    while time.monotonic() < limit:
        try:
            answer = httpx.get(address + HEALTH, timeout=limit - time.monotonic(), trust_env=False)
            if answer.status_code == 200 and answer.json().get("service") == "loralab":
                return
            last = f"something else answered ({answer.status_code})"
        except (httpx.HTTPError, ValueError, AttributeError) as error:
            last = str(error)
        time.sleep(0.5)
    if "certificate" in last.lower() or "ssl" in last.lower() or "tls" in last.lower():
        todo = "In Tailscale's admin page under DNS, switch “HTTPS Certificates” on, then try again."
        raise UserError("Tailscale has no certificate for this computer yet.", todo, code="tailscale_certificate")
    todo = "See that Tailscale is connected and MagicDNS is on, then try again. Nothing is shared beyond your house now."
    raise UserError("It was set up, but nothing came back through its address.", todo, code="tailscale_silent")
