"""Owns who may speak to the app: the browser that was opened with the secret of this start. Everybody else gets one plain page.

It covers: the Host a request names (a web page elsewhere that points its own name at this computer), where the request comes from,
the secret, what a browser may do with our pages, and how much may lie in the upload folder.
Invariant: nothing behind it runs before all of that has been looked at; a stream passes piece by piece, nothing is held back.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
from html import escape
from pathlib import Path
from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
UPLOAD = "/gradio_api/upload"
MAX_UPLOAD = 4 * 10**9  # bytes of one upload, and of everything that lies in the folder for uploads
SAID = {
    "closed": ("This page is not open any more", "Start LoRALab again with a double click: it opens a fresh page that works."),
    "elsewhere": (
        "LoRALab does not answer here",
        "Another page or program asked for it. Only the page that LoRALab opened itself may do that.",
    ),
    "too_large": ("This file is too large", f"One upload may have at most {MAX_UPLOAD // 10**9} GB: split it, or take a part of it."),
    "no_length": ("This upload does not say how large it is", "Try it again from the page that LoRALab opened."),
}
PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    "<title>LoRALab</title><style>:root{{color-scheme:light dark}}body{{font:17px/1.5 system-ui,sans-serif;display:grid;place-items:center;"
    "min-height:100vh;margin:0}}main{{max-width:30rem;padding:2rem}}h1{{font-size:1.4rem;margin:0 0 .4rem}}p{{margin:0}}</style>"
    "{head}<main><h1>{title}</h1><p>{words}</p></main></html>"
)
# Gradio writes style attributes and builds the browser part of a listener from text, so styles and eval cannot be closed; its own scripts
# carry a nonce, so a script that text from a file or a model smuggles into the page does not run.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval'{nonce}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; media-src 'self' blob:; connect-src 'self'; object-src 'none'; frame-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
SEALS = {
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
EARLY = b'<head><script src="/lab/page.js"></script>'  # ours comes before Gradio's own, which is why Gradio's way of adding one is too late
MANIFEST = b'<link rel="manifest" href="/manifest.json" />'  # browsers ask for it without the cookie, and there is nothing in it


class Doors:
    """An ASGI application around the app that answers on one port of loopback."""

    def __init__(self, app: ASGIApp, *, port: int, secret: str, uploads: Path) -> None:
        self.app, self.secret, self.uploads = app, secret, uploads
        self.cookie = f"loralab_{port}"  # cookies are shared by all ports of a host
        self.hosts = frozenset(f"{name}:{port}" for name in LOOPBACK)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # the app has none
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] != "http":
            await self.app(scope, receive, send)
        else:
            request = HTTPConnection(scope)
            refused = self._at_the_door(request, scope["method"]) or await self._too_much(request, scope)
            nonce = secrets.token_urlsafe(16) if scope["path"] == "/" else ""
            sealed = _Sealed(send, nonce)
            if nonce:  # the page is written anew, and can only be as it is, not packed
                packed = {b"accept-encoding"}
                scope = {**scope, "headers": [(name, value) for name, value in scope["headers"] if name not in packed]}
            await (refused or self.app)(scope, receive, sealed)

    def _at_the_door(self, request: HTTPConnection, method: str) -> Response | None:
        """What is answered in place of the app; None lets the request in."""
        headers = request.headers
        host, origin, site = headers.getlist("host"), headers.getlist("origin"), headers.get("sec-fetch-site", "")
        if len(host) != 1 or host[0].lower() not in self.hosts:
            return _refusal("elsewhere")
        if origin not in ([], [f"http://{host[0].lower()}"]):
            return _refusal("elsewhere")
        if method not in ("GET", "HEAD") and not origin and site != "same-origin":
            return _refusal("elsewhere")
        opened = method == "GET" and headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        if site not in ("", "none", "same-origin") and not opened:
            return _refusal("elsewhere")
        key = parse_qs(request.url.query).get("key") if request.url.path == "/" and method == "GET" else None
        if key and self._knows(key[0]):
            return self._welcome(elsewhere=site == "cross-site")
        return None if self._knows(request.cookies.get(self.cookie, "")) else _refusal("closed")

    def _knows(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.secret.encode())

    def _welcome(self, *, elsewhere: bool) -> Response:
        """Hand the secret over as a cookie and lead to the page without it in the address."""
        if elsewhere:  # a browser keeps a strict cookie from a redirect that began on another site, but not from a page of ours
            words = {"title": "Opening LoRALab", "words": "A moment: the page opens here by itself."}
            answer: Response = HTMLResponse(PAGE.format(head='<meta http-equiv="refresh" content="0;url=/">', **words))
        else:
            answer = RedirectResponse("/", 303)
        answer.set_cookie(self.cookie, self.secret, httponly=True, samesite="strict", path="/")
        answer.headers["cache-control"] = "no-store"
        return answer

    async def _too_much(self, request: HTTPConnection, scope: Scope) -> Response | None:
        """Refuse an upload that is too large; make room for one that is not."""
        if scope["method"] != "POST" or request.url.path.rstrip("/") != UPLOAD:
            return None
        length = request.headers.get("content-length", "")
        if not length.isdecimal():
            return _refusal("no_length", 411)
        if int(length) > MAX_UPLOAD:
            return _refusal("too_large", 413)
        await asyncio.to_thread(tidy, self.uploads, MAX_UPLOAD - int(length))
        return None


class _Sealed:
    """Sends an answer on with the headers that every answer carries, and the page itself with a nonce at its scripts."""

    def __init__(self, send: Send, nonce: str) -> None:
        self.send, self.nonce = send, nonce
        self.start: Message | None = None  # of a page, held until its new length is known
        self.page = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name in [name for name in headers if name.startswith("access-control-")]:
                del headers[name]
            headers.update(SEALS)
            headers.append("content-security-policy", POLICY.format(nonce=f" 'nonce-{self.nonce}'" if self.nonce else ""))
            if self.nonce and headers.get("content-type", "").startswith("text/html"):
                self.start = message
                return
        elif self.start is not None:
            self.page += message.get("body", b"")
            if message.get("more_body"):
                return
            page = (
                bytes(self.page)
                .replace(MANIFEST, b"")
                .replace(b"<head>", EARLY, 1)
                .replace(b"<script", f'<script nonce="{self.nonce}"'.encode())
            )
            headers = MutableHeaders(scope=self.start)
            headers["content-length"], headers["cache-control"] = str(len(page)), "no-store"
            await self.send(self.start)
            message = {**message, "body": page}
        await self.send(message)


def _refusal(name: str, status: int = 403) -> Response:
    title, words = SAID[name]
    if status != 403:  # read by the page, which shows it as it is
        return PlainTextResponse(f"{title}. {words}", status)
    return HTMLResponse(PAGE.format(head="", title=escape(title), words=escape(words)), status, {"cache-control": "no-store"})


def tidy(folder: Path, most: int) -> None:
    """Remove the oldest files until what lies in the folder has at most this many bytes."""
    files = sorted((file.stat().st_mtime, file.stat().st_size, file) for file in folder.rglob("*") if file.is_file())
    total = sum(size for _, size, _ in files)
    for _, size, file in files:
        if total <= most:
            return
        with contextlib.suppress(OSError):  # Windows holds on to a file that is being read: it goes the next time
            file.unlink()
            total -= size
            file.parent.rmdir()
