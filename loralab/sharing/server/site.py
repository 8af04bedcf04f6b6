"""Owns what every operation needs: the workspace, the gate, the workers, and which model a name means for whoever asks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, Headers
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import Response

from loralab.core.errors import UserError
from loralab.core.events import RunView
from loralab.core.jobs import Job
from loralab.serve.asking import Workers
from loralab.serve.sees import Eyes
from loralab.sharing import deployment as frozen
from loralab.sharing.deployment import Deployment
from loralab.sharing.server.counting import Counts
from loralab.sharing.server.gate import Caller, Gate, not_here, refusal
from loralab.sharing.server.limits import Limits, Turns
from loralab.sharing.server.uploads import Uploads

SILENCE_S = 30.0  # seconds of silence in a body, and before its pace is looked at
SLOWEST = 500.0  # bytes a second of a body
AskedT = TypeVar("AskedT", bound=BaseModel)


class Desk(Protocol):
    """What the owner's programs may have done. The facade is one."""

    def teach(self, examples: Path, model: str, settings: dict[str, Any], title: str) -> str: ...
    def view(self, run: str) -> RunView: ...
    def job(self, run: str) -> Job: ...
    def names(self) -> list[str]: ...
    def stop(self, run: str) -> None: ...
    def deploy(self, run: str, name: str = "") -> Deployment: ...


class Refusal(Exception):
    """Ends an operation with this response."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


@dataclass(frozen=True)
class Target:
    """A model that was asked for: a deployment, or (`deployment` None) the bare base that `like` was trained on."""

    name: str
    like: Deployment
    deployment: Deployment | None


@dataclass
class Site:
    """One workspace as others see it."""

    home: Path
    desk: Desk
    owner_key: str
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self.gate = Gate(self.home, self.owner_key, self.limits)
        self.turns = Turns(self.limits.at_once, self.limits.waiting)
        self.counts = Counts(self.home, self.turns)
        self.workers = Workers(self.home)
        self.uploads = Uploads(self.home, self.limits.upload)

    @cached_property
    def eyes(self) -> Eyes:
        """The child process that looks at pictures; started with the first one."""
        return Eyes()

    def seen_by(self, caller: Caller) -> tuple[Deployment, ...]:
        """The deployments that somebody may ask. Raises Refusal where a link's own is gone."""
        if caller.owner:
            return frozen.deployments(self.home)
        try:
            return (frozen.get(self.home, caller.link.deployment if caller.link else ""),)
        except UserError as error:
            raise Refusal(not_here()) from error

    def target(self, caller: Caller, name: str, answers: frozenset[str]) -> Target:
        """The model of a name. Raises Refusal: there is none, or it does something else."""
        known = self.seen_by(caller)
        found: Deployment | None = None
        if not name and len(known) == 1:
            found = known[0]
        found = found or next((one for one in known if name and name in (one.id, one.name)), None)
        if found is None and caller.owner and name:  # an older name of a deployment
            found = next((one for one in known if one.id == frozen.id_of(self.home, name)), None)
        if found is not None:
            if found.answers not in answers:
                what = f"“{name or found.called}” does not do this: it is made to {_WORDS[found.answers]}."
                raise Refusal(refusal(400, "wrong_kind", what))
            return Target(found.called, found, found)
        like = next((one for one in known if name and name == one.base and one.answers in answers), None)
        if like is not None and like.answers == "chat":
            return Target(like.base, like, None)
        what = "This model does not exist, or this key does not open it." if name else "Say which model: see /v1/models."
        raise Refusal(refusal(404, "model_not_found", what))


_WORDS = {"chat": "answer", "classify": "sort pictures", "detect": "find things in pictures", "segment": "mark things in pictures"}

Handler = Callable[[Site, Request, Caller], Awaitable[Response]]


# ---- reading what comes in -------------------------------------------------------------------------------------------------


async def bounded(request: Request, most: int) -> AsyncGenerator[bytes, None]:
    """The body block by block. Raises Refusal as soon as it is larger than `most` bytes, or comes too slowly to be waited for."""
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said) > most:
        raise Refusal(too_large(most))
    read, begun, blocks = 0, time.monotonic(), request.stream()
    while True:
        try:
            block = await asyncio.wait_for(_next(blocks), SILENCE_S)
        except asyncio.TimeoutError as error:
            raise Refusal(too_slow()) from error
        if block is None:
            return
        read += len(block)
        if read > most:
            raise Refusal(too_large(most))
        yield block
        if (spent := time.monotonic() - begun) > SILENCE_S and read < spent * SLOWEST:
            raise Refusal(too_slow())


async def _next(blocks: AsyncIterator[bytes]) -> bytes | None:
    """The next block; None at the end."""
    return await anext(blocks, None)


def too_slow() -> Response:
    """What is told of a body that hardly comes."""
    return refusal(408, "too_slow", "This came too slowly. Send it again over a better connection.")


def too_large(most: int) -> Response:
    """What is told of a body that is larger than is read."""
    return refusal(413, "too_large", f"This is larger than the {most / (1 << 20):.0f} MB that are read at once.")


async def body_of(request: Request, most: int) -> bytes:
    """The whole body. Raises Refusal as `bounded`."""
    return b"".join([block async for block in bounded(request, most)])


async def read(request: Request, kind: type[AskedT], most: int) -> AskedT:
    """The body as a type. Raises Refusal naming the field that is wrong."""
    return parsed(await body_of(request, most), kind)


def parsed(raw: bytes, kind: type[AskedT]) -> AskedT:
    """JSON as a type. Raises Refusal naming the field that is wrong."""
    try:
        return kind.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:80] or "body"
        raise Refusal(refusal(400, "bad_request", f"{where}: {first['msg'][:200]}")) from error


async def form_of(request: Request, most: int) -> FormData:
    """A form with files. Raises Refusal for one that is damaged or too large."""
    parser = MultiPartParser(Headers(raw=request.headers.raw), bounded(request, most), max_files=2, max_fields=16)
    try:
        return await parser.parse()
    except (MultiPartException, KeyError, UnicodeError, ValueError) as error:
        raise Refusal(refusal(400, "bad_form", "The form could not be read.")) from error


def is_form(request: Request) -> bool:
    """Whether a form comes in."""
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


def answered(told: BaseModel, status: int = 200) -> Response:
    """A type as JSON."""
    return Response(told.model_dump_json(), status, media_type="application/json")
