"""Owns answering in words, in OpenAI's shapes: conversations, texts to go on from, whole or piece by piece; and what may be asked.

Invariants: so many answers are written at once, so many wait, whoever comes then is told when to come again; an answer nobody listens to
any more ends; no error of a worker leaves with a path in it.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from loralab.core.errors import LabError
from loralab.serve.asking import Ending, Place
from loralab.serve.listening import while_there
from loralab.sharing.deployment import Deployment, Generation, adapter_of, engine_of
from loralab.sharing.server import shapes
from loralab.sharing.server.gate import Caller, refusal
from loralab.sharing.server.limits import Busy, whole_seconds
from loralab.sharing.server.shapes import ChatAsked, TextAsked
from loralab.sharing.server.site import Refusal, Site, Target, answered, read

CHAT = frozenset({"chat"})
EVERY = frozenset({"chat", "classify", "detect", "segment"})
LONGEST_S = 900.0  # of one streamed answer, however slowly it is read
COME_AGAIN = 5.0  # seconds after which a place is likely to be free
TOLD = {  # codes of a worker's problems whose words hold nothing of this computer -> status
    "no_messages": 400,
    "no_text": 400,
    "too_long": 400,
    "embeddings_unsupported": 400,
    "base_changed": 503,
    "not_downloaded": 503,
    "no_adapter": 503,
    "out_of_memory": 503,
    "non_finite": 503,
    "chat_gone": 503,
    "chat_slow": 503,
}


async def models(site: Site, _: Request, caller: Caller) -> Response:
    """Every deployment this key opens, and the bare bases of those that answer in words."""
    found = site.seen_by(caller)
    told = [_model(one.called, one, frozen=True) for one in found]
    bases = {one.base: one for one in reversed(found) if one.answers == "chat"}
    told += [_model(name, one, frozen=False) for name, one in bases.items()]
    response = answered(shapes.ModelsTold(data=tuple(told)))
    if caller.link and not caller.owner:
        response.headers["x-link-scope"] = caller.link.scope  # what the page of a link is to show
    return response


async def model(site: Site, request: Request, caller: Caller) -> Response:
    """One of them."""
    target = site.target(caller, request.path_params["model"], EVERY)
    return answered(_model(target.name, target.like, frozen=target.deployment is not None))


def _model(name: str, one: Deployment, *, frozen: bool) -> shapes.ModelTold:
    """A deployment, or the bare base it was trained on."""
    about = {"id": name, "created": int(one.created), "base": one.base}
    if not frozen:
        return shapes.ModelTold.model_validate(about | {"title": "without what was learned"})
    told = one.model_dump(include={"title", "answers", "versions", "usable", "labels"})
    return shapes.ModelTold.model_validate(about | told | {"deployment": one.id})


async def chat(site: Site, request: Request, caller: Caller) -> Response:
    """Answer a conversation."""
    asked = await read(request, ChatAsked, site.limits.body)
    _plain(asked)
    if (asked.response_format or {}).get("type", "text") != "text":
        raise Refusal(refusal(400, "format_unsupported", "This model answers with text only: leave response_format out."))
    target = site.target(caller, asked.model, CHAT)
    turns = [{"role": "system" if turn.role == "developer" else turn.role, "content": turn.words} for turn in asked.messages]
    wanted = {"messages": turns, **_sampling(site, asked, target.like.generation, asked.max_completion_tokens)}
    head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": target.name}
    return await _respond(site, request, target, wanted, asked, head | {"object": "chat.completion"})


async def completions(site: Site, request: Request, caller: Caller) -> Response:
    """Go on from a text."""
    asked = await read(request, TextAsked, site.limits.body)
    _plain(asked)
    prompts = [asked.prompt] if isinstance(asked.prompt, str) else list(asked.prompt)
    if len(prompts) != 1 or asked.echo:
        raise Refusal(refusal(400, "bad_request", "One text at a time, and without echo."))
    target = site.target(caller, asked.model, CHAT)
    wanted = {"prompt": prompts[0], **_sampling(site, asked, target.like.generation)}
    head = {"id": f"cmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": target.name}
    return await _respond(site, request, target, wanted, asked, head | {"object": "text_completion"})


def _plain(asked: ChatAsked | TextAsked) -> None:
    if asked.tools or asked.functions:
        what = "This model answers with text and calls no tools. Leave tools out, or describe them in your message."
        raise Refusal(refusal(400, "tools_unsupported", what))
    if asked.logprobs:
        raise Refusal(refusal(400, "logprobs_unsupported", "Probabilities of single tokens are not given out."))


def _sampling(site: Site, asked: ChatAsked | TextAsked, usual: Generation, also: int | None = None) -> dict[str, Any]:
    """The worker's settings."""
    return {
        "max_tokens": min(also or asked.max_tokens or usual.max_tokens, site.limits.tokens),
        "temperature": usual.temperature if asked.temperature is None else asked.temperature,
        "top_p": 1.0 if asked.top_p is None else asked.top_p,
        "seed": asked.seed if asked.seed is not None else uuid.uuid4().int >> 66,
        "stop": list(asked.stops),
    }


async def _respond(
    site: Site, request: Request, target: Target, wanted: dict[str, Any], asked: ChatAsked | TextAsked, head: dict[str, Any]
) -> Response:
    """Wait for a turn, then answer. Raises Refusal where too many wait, or where the worker cannot."""
    stack = AsyncExitStack()
    question = site.counts.begin(target.name, "chat" if "messages" in wanted else "text_completion")
    stack.callback(question.end)
    try:
        await stack.enter_async_context(site.turns.turn())
        written = site.workers.answer(place_of(site, target), wanted)
        pieces = question.watched(while_there(written, request.is_disconnected))
        stack.push_async_callback(pieces.aclose)
        first = await anext(pieces, None)  # what goes wrong before it has a status of its own
        if asked.stream:
            told = bool(asked.stream_options and asked.stream_options.include_usage)
            return _Held(_events(first, pieces, head, usage=told), stack)
        async with stack:
            return await _whole(first, pieces, head)
    except (Busy, LabError) as error:
        refused = busy() if isinstance(error, Busy) else problem_of(error)
        question.refused(refused.status_code)
        await stack.aclose()
        raise Refusal(refused) from error
    except BaseException:
        await stack.aclose()
        raise


def busy() -> Response:
    """What is told where too many wait already."""
    again = {"retry-after": whole_seconds(COME_AGAIN)}
    return refusal(429, "busy", "Others are being answered. Ask again in a moment.", "rate_limit_error", **again)


def place_of(site: Site, target: Target) -> Place:
    """Which worker answers for a model, and how."""
    frozen = str(adapter_of(site.home, target.like.id))
    if target.deployment and target.deployment.engine:
        return Place(model=str(engine_of(site.home, target.deployment)), engine=target.deployment.engine)
    return Place(model=target.like.model, adapter=frozen if target.deployment else "", numbers_of=frozen)


def problem_of(error: LabError) -> Response:
    """What a worker's problem is told as: in its own words where these hold nothing of this computer."""
    code = error.problem.code
    what = str(error) if code in TOLD else "The model could not answer. Its owner finds the reason in the app."
    status = TOLD.get(code, 503)
    return refusal(status, code if code in TOLD else "not_answered", what, "server_error" if status == 503 else "invalid_request_error")


class _Held(StreamingResponse):
    """A stream that gives its turn back however it ends, also where nobody ever read it."""

    def __init__(self, events: AsyncGenerator[bytes, None], stack: AsyncExitStack) -> None:
        super().__init__(events, media_type="text/event-stream")
        self._events, self._stack = events, stack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.wait_for(super().__call__(scope, receive, send), LONGEST_S)
        except asyncio.TimeoutError:
            return  # whoever reads it hardly does: others wait for its turn
        finally:
            await self._events.aclose()
            await self._stack.aclose()


async def _events(first: Any, pieces: AsyncIterator[Any], head: dict[str, Any], *, usage: bool) -> AsyncGenerator[bytes, None]:
    """Server-sent events in the shape of the answer; the last of them is [DONE]."""
    talks = head["object"] == "chat.completion"
    about = head | {"object": "chat.completion.chunk"} if talks else head
    nothing: dict[str, Any] = {"usage": None} if usage else {}

    def chunk(text: str, reason: str | None, **more: Any) -> bytes:
        said = {"delta": {"content": text} if text else {}} if talks else {"text": text}
        return _event({**about, "choices": [{"index": 0, **said, "logprobs": None, "finish_reason": reason}], **nothing, **more})

    if talks:
        yield _event({**about, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}], **nothing})
    piece = first
    try:
        while piece is not None:
            match piece:
                case str():
                    yield chunk(piece, None)
                case Ending():
                    yield chunk("", piece.reason, adapter=bool(piece.active))
                    if usage:
                        yield _event({**about, "choices": [], "usage": _usage(piece).model_dump()})
                case _:
                    break
            piece = await anext(pieces, None)
    except LabError as error:
        yield b"data: " + bytes(problem_of(error).body) + b"\n\n"
    yield b"data: [DONE]\n\n"


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode("utf-8", "replace") + b"\n\n"


async def _whole(first: Any, pieces: AsyncIterator[Any], head: dict[str, Any]) -> Response:
    parts: list[str] = []
    piece = first
    while piece is not None:
        if isinstance(piece, Ending):
            return _told("".join(parts), piece, head)
        parts.append(piece)
        piece = await anext(pieces, None)
    return refusal(499, "hung_up", "The asker hung up.")


def _told(text: str, end: Ending, head: dict[str, Any]) -> Response:
    about: dict[str, Any] = {"id": head["id"], "created": head["created"], "model": head["model"]}
    reason: Any = end.reason
    if head["object"] == "chat.completion":
        said = shapes.ChatChoice(message=shapes.Said(content=text), finish_reason=reason)
        return answered(shapes.ChatTold(**about, choices=(said,), usage=_usage(end), adapter=bool(end.active)))
    wrote = shapes.TextChoice(text=text, finish_reason=reason)
    return answered(shapes.TextTold(**about, choices=(wrote,), usage=_usage(end), adapter=bool(end.active)))


def _usage(end: Ending) -> shapes.Usage:
    return shapes.Usage(prompt_tokens=end.prompt_tokens, completion_tokens=end.tokens, total_tokens=end.prompt_tokens + end.tokens)
