"""Owns the page a person sees until the app is up: it asks how far set-up is, and goes to the app when that answers.

Invariant: it listens on loopback only, answers nobody who does not know its address, and its port is closed once the app is open.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer

from loralab.setup.opened import HOST
from loralab.setup.progress import Progress

PAGE = Path(__file__).with_name("splash.html")
_STAY_S = 90.0  # a browser lets a page in the background ask once a minute
_SEALS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; img-src data:; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


class Splash:
    """Serves the page and what it asks for, on a port of its own. `browser` says that a browser is on its way."""

    def __init__(self, progress: Progress, *, browser: bool) -> None:
        self.progress, self.page = progress, PAGE.read_bytes()
        self.told = threading.Event()  # a page has seen the end of the start, good or bad
        self.asked = time.monotonic() if browser else -_STAY_S
        self.server = ThreadingTCPServer((HOST, 0), _handler(self))  # an HTTPServer asks the network for this computer's name first
        self.server.daemon_threads = True
        self.host = f"{HOST}:{self.server.server_address[1]}"
        self.path = f"/{secrets.token_urlsafe(24)}/"
        self.link = f"http://{self.host}{self.path}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, path: str) -> tuple[str, bytes] | None:
        """The kind and content of what lies at a path, None where there is nothing."""
        if path == self.path:
            return "text/html; charset=utf-8", self.page
        if path != self.path + "state":
            return None
        self.asked = time.monotonic()
        state = self.progress.snapshot()
        if state["phase"] in ("ready", "failed"):
            self.told.set()
        return "application/json", json.dumps(state).encode()

    def close(self, stay_s: float = _STAY_S) -> None:
        """Close the port once an open page has been told, or none has asked for a while."""
        while not self.told.wait(0.05) and time.monotonic() - self.asked < stay_s:
            pass
        time.sleep(0.1)  # for the last answer to leave
        self.server.shutdown()
        self.server.server_close()


def _handler(splash: Splash) -> type[BaseHTTPRequestHandler]:
    class SplashRequest(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = splash.answer(self.path) if self.headers.get_all("Host") == [splash.host] else None
            kind, body = found or ("text/plain", b"Nothing is here.")
            self.send_response(200 if found else 404)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **_SEALS}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing: the terminal belongs to the progress."""

    return SplashRequest
