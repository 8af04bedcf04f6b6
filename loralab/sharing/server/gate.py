"""Owns who may ask what: the name a request is for, whose key it carries, how often, and what is said to everybody else.

Invariants: no operation answers without saying to whom it opens; every key that does not open an operation gets the same answer as a
path that is not there; whoever has no key is told that one is needed; only the owner on this computer gets beyond answers and weights.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loralab.sharing import links, public
from loralab.sharing.addresses import LOOPBACK
from loralab.sharing.links import Link
from loralab.sharing.server.limits import Buckets, Limits, whole_seconds

PROXIED = ("x-forwarded-for", "x-forwarded-host", "forwarded", "tailscale-user-login", "tailscale-funnel-request", "via")
COOKIE = "loralab_link"
LONGEST_PATH = 512
HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
QUIET_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True)
class Caller:
    """Who asks. `link`: the link whose token was given, in whatever state; `owner`: the owner, on this computer."""

    address: str
    owner: bool = False
    link: Link | None = None
    key: bool = False  # some key was given, whether it opens anything or not


def refusal(status: int, code: str, message: str, kind: str = "invalid_request_error", **headers: str) -> Response:
    """An error in OpenAI's shape."""
    return JSONResponse({"error": {"message": message, "type": kind, "param": None, "code": code}}, status_code=status, headers=headers)


def not_here() -> Response:
    """What everybody is told who may not: the same as where there is nothing."""
    return refusal(404, "not_found", "There is nothing here for this key. Ask whoever gave you the link for a new one.")


def key_needed() -> Response:
    """What is told to whom gives no key."""
    headers = {"www-authenticate": "Bearer"}
    return refusal(401, "no_key", "A key is needed: send it as “Authorization: Bearer …”.", "authentication_error", **headers)


def too_often(wait: float) -> Response:
    """What is told to whom asks too often."""
    return refusal(
        429, "too_many_requests", "That was too often. Wait a moment.", "rate_limit_error", **{"retry-after": whole_seconds(wait)}
    )


class Gate:
    """Knows keys and how often each was used."""

    def __init__(self, home: Path, owner_key: str, limits: Limits) -> None:
        self.home, self.limits = home, limits
        self._owner = owner_key.encode()
        self._by_link = Buckets(limits.link_per_minute, limits.link_burst)
        self._by_address = Buckets(limits.address_per_minute, limits.address_burst)
        self._wrong = Buckets(limits.wrong_per_minute, limits.wrong_burst)

    def caller(self, request: Request) -> Caller:
        """Who asks."""
        address = address_of(request)
        token = _token(request)
        if not token:
            return Caller(address)
        if hmac.compare_digest(token.encode("utf-8", "replace"), self._owner):
            return Caller(address, owner=_on_this_computer(request), key=True)
        return Caller(address, link=links.opened_by(self.home, token), key=True)

    def refuse(self, request: Request, caller: Caller, opens: frozenset[str]) -> Response | None:
        """Why a caller may not do what opens to these scopes; None where they may."""
        if caller.owner:
            return None
        if wait := self._by_address.take(caller.address):
            return too_often(wait)
        if "anybody" in opens:
            return None
        if not caller.key:
            return key_needed()
        link = caller.link
        if link is None or link.state != "open" or link.scope not in opens or (_funnelled(request) and not self._may_leave(link)):
            wait = self._wrong.take(caller.address)
            return too_often(wait) if wait else not_here()
        wait = self._by_link.take(link.id)
        return too_often(wait) if wait else None

    def _may_leave(self, link: Link) -> bool:
        """Whether a link may be used from anywhere on the internet."""
        return link.scope != "weights" and public.read(self.home).funnelled


def _token(request: Request) -> str:
    given = request.headers.get("authorization", "")
    kind, _, token = given.partition(" ")
    if kind.lower() == "bearer":
        return token.strip()
    return request.cookies.get(COOKIE, "") if request.url.path.startswith("/page/") else ""


def _on_this_computer(request: Request) -> bool:
    """Whether a request began here: not passed on by Tailscale, which asks from this computer, too."""
    peer = request.client.host if request.client else ""
    return _loops(peer) and not any(name in request.headers for name in PROXIED) and name_of(request.headers.get("host", "")) in LOOPBACK


def _funnelled(request: Request) -> bool:
    return "tailscale-funnel-request" in request.headers


def address_of(request: Request) -> str:
    """Where a request comes from; what a proxy says of it counts only where the proxy is on this computer."""
    peer = request.client.host if request.client else ""
    passed = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    if passed and _loops(peer):
        with suppress(ValueError):
            return str(ipaddress.ip_address(passed))
    return peer


def _loops(address: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(address).is_loopback
    return False


def name_of(host: str) -> str:
    """The name in a Host header, without its port."""
    return re.sub(r":\d{1,5}$", "", host.strip().lower())


class Doors:
    """The outermost: which names are answered to, how long a path may be, what every answer carries."""

    def __init__(self, app: ASGIApp, home: Path, house: frozenset[str]) -> None:
        self.app, self.home = app, home
        self.names = frozenset(LOOPBACK) | house

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            else:
                await self.app(scope, receive, send)
            return
        host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("content-security-policy", QUIET_POLICY)
            await send(message)

        known = name_of(host) in self.names or name_of(host) == public.read(self.home).host != ""
        if not known or len(scope["path"]) > LONGEST_PATH:
            await not_here()(scope, receive, dressed)
            return
        await self.app(scope, receive, dressed)
