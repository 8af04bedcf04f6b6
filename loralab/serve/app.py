"""Owns the HTTP face of the inference worker: the chat route other programs know (OpenAI's shape), behind a token, on loopback.

    GET  /health                  who is here
    GET  /v1/models               the one model, with its adapter
    POST /v1/chat/completions     messages in, answer out, whole or as server-sent events; `adapter: "off"` asks the bare base
    POST /v1/embeddings           a text in, numbers out

Invariants: no route answers without the token, or under another name than loopback's; two answers are written at a time, others wait
their turn; when the asker hangs up, writing stops.
"""

from __future__ import annotations

import hmac
import json
import re
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from loralab.core.records import Message
from loralab.serve.embed import Vector
from loralab.serve.generate import Finish, Sampling
from loralab.serve.listening import Gone, while_there
from loralab.serve.speaker import Speaker

AskedT = TypeVar("AskedT", bound=BaseModel)
MAX_BODY = 4 << 20  # bytes: far above any context we serve, far below what would hurt


class ChatRequest(BaseModel):
    """The fields of OpenAI's request that mean something here; others are ignored, as its clients expect."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    messages: tuple[Message, ...] = ()
    prompt: str = ""  # plain text to go on from, where there are no messages
    stream: bool = False
    temperature: float = Field(0.0, ge=0, le=5)
    max_tokens: int = Field(200, ge=1, le=8192)
    top_p: float = Field(1.0, gt=0, le=1)
    seed: int = Field(0, ge=0, lt=1 << 63)
    stop: str | tuple[str, ...] | None = None
    repetition_penalty: float | None = Field(None, gt=0, le=10)
    adapter: Literal["on", "off"] = "on"
    folder: str = ""  # of the adapter to answer with, where the worker holds a base for several

    @model_validator(mode="after")
    def _asks(self) -> ChatRequest:
        if not self.messages and not self.prompt:
            raise ValueError("there is nothing to answer")
        return self

    def sampling(self, default_penalty: float) -> Sampling:
        stop = (self.stop,) if isinstance(self.stop, str) else self.stop or ()
        penalty = self.repetition_penalty or default_penalty
        return Sampling(self.max_tokens, self.temperature, self.top_p, self.seed, penalty, stop)


class EmbedRequest(BaseModel):
    """One text, to be turned into numbers."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    input: str = Field(min_length=1)
    adapter: Literal["on", "off"] = "on"
    folder: str = ""


HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})  # under another name, a web page elsewhere is asking


class TokenGate:
    """Lets a request through only with `Authorization: Bearer <token>`, and only to a name of this computer's own loopback."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app, self.expected = app, f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            if re.sub(r":\d+$", "", headers.get(b"host", b"").decode("latin-1").lower()) not in HOSTS:
                await _refusal(403, "bad_host", "This address is not of this computer.")(scope, receive, send)
                return
            given = headers.get(b"authorization", b"")
            if not hmac.compare_digest(given, self.expected):  # constant time: nothing is learned from how long “no” takes
                await _refusal(401, "bad_token", "The token is missing or wrong.")(scope, receive, send)
                return
        await self.app(scope, receive, send)


def make_app(speaker: Speaker, token: str, about: dict[str, Any]) -> Starlette:
    """The web application around one speaker. `about` says which model and adapter it holds."""

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok", **about})

    async def models(_: Request) -> Response:
        entry = {"id": about["name"], "object": "model", "created": int(about["created"]), "owned_by": "local"}
        return JSONResponse({"object": "list", "data": [entry | {"adapters": speaker.adapters}]})

    async def chat(request: Request) -> Response:
        asked = await _read(request, ChatRequest)
        if isinstance(asked, Response):
            return asked
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": about["name"]}
        adapter = asked.folder or asked.adapter == "on"
        pieces = speaker.speak(asked.messages or asked.prompt, asked.sampling(speaker.penalty), adapter)
        if asked.stream:
            return StreamingResponse(_events(pieces, head, request.is_disconnected), media_type="text/event-stream")
        return await _whole(pieces, head, request.is_disconnected)

    async def embeddings(request: Request) -> Response:
        asked = await _read(request, EmbedRequest)
        if isinstance(asked, Response):
            return asked
        return await _embedded(speaker.embed(asked.input, asked.folder or asked.adapter == "on"), about["name"], request.is_disconnected)

    posts = {"/v1/chat/completions": chat, "/v1/embeddings": embeddings}
    routes = [Route("/health", health), Route("/v1/models", models), *(Route(path, do, methods=["POST"]) for path, do in posts.items())]
    return Starlette(routes=routes, middleware=[Middleware(TokenGate, token=token)])


async def _read(request: Request, kind: type[AskedT]) -> AskedT | Response:
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > MAX_BODY:
            return _refusal(413, "too_big", "The request is too big.")
    try:
        return kind.model_validate_json(bytes(body))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        return _refusal(400, "bad_request", f"{where}: {first['msg']}")


def _refusal(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"message": message, "type": "invalid_request_error", "code": code}}, status_code=status)


async def _events(pieces: AsyncIterator[Any], head: dict[str, Any], gone: Gone) -> AsyncIterator[bytes]:
    """Server-sent events: one chunk per piece, a last one with finish_reason, usage and the adapters that took part, then [DONE]."""

    def event(value: dict[str, Any]) -> bytes:
        return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"

    def chunk(delta: dict[str, str], reason: str | None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return event({**head, "object": "chat.completion.chunk", "choices": [choice], **more})

    yield chunk({"role": "assistant", "content": ""}, None)
    async for piece in while_there(pieces, gone):
        match piece:
            case str():
                yield chunk({"content": piece}, None)
            case Finish():
                yield chunk({}, piece.reason, usage=_usage(piece), active_adapters=list(piece.active))
            case problem:
                yield event({"error": {"message": str(problem), "type": "server_error", "code": problem.code}})
    yield b"data: [DONE]\n\n"


async def _whole(pieces: AsyncIterator[Any], head: dict[str, Any], gone: Gone) -> Response:
    parts: list[str] = []
    async for piece in while_there(pieces, gone):
        match piece:
            case str():
                parts.append(piece)
            case Finish():
                message = {"role": "assistant", "content": "".join(parts)}
                choice = {"index": 0, "message": message, "finish_reason": piece.reason}
                body = {**head, "object": "chat.completion", "choices": [choice], "usage": _usage(piece)}
                return JSONResponse(body | {"active_adapters": list(piece.active)})
            case problem:
                return _refusal(400 if problem.code == "no_messages" else 500, problem.code, str(problem))
    return _refusal(499, "hung_up", "The asker hung up.")


async def _embedded(pieces: AsyncIterator[Any], name: str, gone: Gone) -> Response:
    numbers: list[float] = []
    async for piece in while_there(pieces, gone):
        match piece:
            case Vector():
                numbers = piece.numbers
            case Finish():
                data = [{"object": "embedding", "index": 0, "embedding": numbers}]
                body = {"object": "list", "model": name, "data": data, "usage": _usage(piece)}
                return JSONResponse(body | {"active_adapters": list(piece.active)})
            case problem:
                return _refusal(500, problem.code, str(problem))
    return _refusal(499, "hung_up", "The asker hung up.")


def _usage(finish: Finish) -> dict[str, int]:
    total = finish.prompt_tokens + finish.tokens
    return {"prompt_tokens": finish.prompt_tokens, "completion_tokens": finish.tokens, "total_tokens": total}
