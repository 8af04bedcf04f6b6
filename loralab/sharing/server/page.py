"""Owns what a browser is handed: the page that opens a link, the description of the API, and a deployment's own page.

Invariants: no third party is contacted; a link's token comes in the part of an address that browsers keep to themselves; a deployment's
page is handed out to its link only.
"""

from __future__ import annotations

import base64
import hashlib
import re
import time
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from loralab.sharing.deployment import folder_of
from loralab.sharing.server.gate import COOKIE, Caller, not_here
from loralab.sharing.server.ranged import RangedFile
from loralab.sharing.server.site import Site

PAGES = Path(__file__).parent / "pages"
# What a model needs that runs in the visitor's own browser: its program (WebAssembly) from here, workers, nothing from anywhere else.
RUNS_THERE = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' blob: data:; media-src 'self' blob:; worker-src 'self' blob:; connect-src 'self' blob: data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
TYPES = {".wasm": "application/wasm", ".js": "text/javascript", ".mjs": "text/javascript", ".html": "text/html", ".css": "text/css"}
_NAME = re.compile(r"(?:[\w-][\w.-]*/){0,3}[\w-][\w.-]*")


async def opened(_: Site, __: Request, ___: Caller) -> Response:
    """The page a link opens: it reads the token, asks what that is for, and shows it."""
    return as_page(read("open.html"))


async def enter(site: Site, request: Request, caller: Caller) -> Response:
    """Let a browser with a link to a page fetch that page's files: they are asked for without a header of ours."""
    if caller.link is None:
        return not_here()
    token = request.headers.get("authorization", "").partition(" ")[2].strip()
    response = Response(status_code=204)
    left = max(1, int(caller.link.expires - time.time()))
    secure = request.headers.get("x-forwarded-proto", request.url.scheme) == "https"
    response.set_cookie(COOKIE, token, max_age=left, path="/page/", httponly=True, samesite="strict", secure=secure)
    return response


async def page(site: Site, request: Request, caller: Caller) -> Response:
    """A file of a deployment's page."""
    name = request.path_params["file"] or "index.html"
    if caller.link is None or not _NAME.fullmatch(name):
        return not_here()
    room = (folder_of(site.home, caller.link.deployment) / "page").resolve()
    path = (room / name).resolve()
    if not path.is_relative_to(room) or not path.is_file():
        return not_here()
    headers = {"content-security-policy": RUNS_THERE, "cross-origin-embedder-policy": "require-corp"}
    return RangedFile(path, headers=headers, media_type=TYPES.get(path.suffix))


@cache
def read(name: str) -> str:
    """One of our pages."""
    return (PAGES / name).read_text("utf-8")


def as_page(text: str) -> Response:
    """A page of ours, which may run its own script and nothing else."""
    return HTMLResponse(text, headers={"content-security-policy": _policy(text)})


@cache
def _policy(text: str) -> str:
    """Only the page's own script may run, named by its digest."""
    found = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    allowed = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in found) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src blob: data:; connect-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
