"""Owns the web application: the table of operations behind the gate. Invariant: whatever comes in, an answer in one shape goes out."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from loralab.sharing import links
from loralab.sharing.server.gate import Caller, Doors, not_here, refusal
from loralab.sharing.server.operation import Operation
from loralab.sharing.server.site import Refusal, Site
from loralab.sharing.server.table import operations

LOG = logging.getLogger("loralab.sharing")
REFUSED = 400  # statuses from here on
SAFE = frozenset({"GET", "HEAD"})


def make_app(site: Site, house: tuple[str, ...] = ()) -> Starlette:
    """The application of a workspace. `house`: this computer's names in its own network, by which others may ask for it."""
    routes = [Route(one.path, _endpoint(site, one), methods=[one.method]) for one in operations()]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Doors, home=Path(site.home), house=frozenset(house))],
        exception_handlers={404: _nothing, 405: _nothing, Exception: _broken},
    )


def _endpoint(site: Site, one: Operation) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        caller = site.gate.caller(request)
        refused = site.gate.refuse(request, caller, one.opens)
        if refused is not None:
            return refused
        counted = caller.link if one.counts and not caller.owner and not _goes_on(request) else None
        if counted:
            links.used(site.home, counted)  # before anything is waited for: two at once are two
        response = await _done(site, one, request, caller)
        if counted and response.status_code >= REFUSED:
            links.not_used(site.home, counted)
        return response

    return endpoint


async def _done(site: Site, one: Operation, request: Request, caller: Caller) -> Response:
    try:
        return await one.do(site, request, caller)
    except Refusal as refusal_:
        return refusal_.response
    except ClientDisconnect:
        return refusal(499, "hung_up", "The asker hung up.")


def _goes_on(request: Request) -> bool:
    """Whether a download that broke off goes on, which is no use of its own."""
    said = request.headers.get("range", "")
    return request.method in SAFE and bool(said) and not said.replace(" ", "").startswith("bytes=0-")


async def _nothing(_: Request, __: Exception) -> Response:
    return not_here()


async def _broken(request: Request, error: Exception) -> Response:
    LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return refusal(500, "internal", "That did not work: the server made a mistake. Its owner finds the details in its log.", "server_error")
