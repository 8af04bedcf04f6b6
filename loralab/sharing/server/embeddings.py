"""Owns turning texts into numbers over HTTP, in OpenAI's shape: what is asked, what is told, and what is refused in words."""

from __future__ import annotations

import base64
import struct
from typing import Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from loralab.core.errors import LabError
from loralab.serve.asking import Embedded
from loralab.serve.listening import while_there
from loralab.sharing.server.answers import CHAT, busy, place_of, problem_of
from loralab.sharing.server.gate import Caller, refusal
from loralab.sharing.server.limits import Busy
from loralab.sharing.server.shapes import MOST_TEXT, Asked, Told
from loralab.sharing.server.site import Refusal, Site, answered, read

MOST = 128  # texts of one request
TOKENS = "Send texts: numbers of another model's words mean nothing here. In LangChain, set check_embedding_ctx_length=False."
WIDTH = "The numbers have one width only, that of the model. Leave dimensions out."


class EmbeddingsAsked(Asked):
    """Texts to be turned into numbers."""

    model: str = Field("", max_length=200, description="A deployment's id or name, or a base model's name. Empty: that of the link.")
    input: str | tuple[str, ...] | tuple[int, ...] | tuple[tuple[int, ...], ...] = Field(
        min_length=1, max_length=MOST_TEXT, description=f"A text, or up to {MOST}. Tokens as numbers are refused in words."
    )
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, description="Refused in words.")


class EmbeddingTold(Told):
    """A text as numbers, of length one: a list, or 32-bit floats (little-endian) in base64."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: tuple[float, ...] | str


class Read(Told):
    """Tokens that were read."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsTold(Told):
    """The texts in the order they were sent."""

    object: Literal["list"] = "list"
    data: tuple[EmbeddingTold, ...]
    model: str
    usage: Read
    adapter: bool = Field(description="Whether an adapter took part.")


async def embeddings(site: Site, request: Request, caller: Caller) -> Response:
    """Each text as the mean of what the model's last layer says of it. The model was not taught to place texts by their meaning."""
    asked = await read(request, EmbeddingsAsked, site.limits.body)
    if asked.dimensions is not None:
        raise Refusal(refusal(400, "dimensions_unsupported", WIDTH))
    texts = _texts(asked)
    target = site.target(caller, asked.model, CHAT)
    question = site.counts.begin(target.name, "embeddings")
    try:
        async with site.turns.turn():
            coming = while_there(site.workers.embed(place_of(site, target), texts), request.is_disconnected)
            found = [one async for one in coming]
        if len(found) == len(texts):
            question.answered(sum(one.tokens for one in found))
    except (Busy, LabError) as error:
        refused = busy() if isinstance(error, Busy) else problem_of(error)
        question.refused(refused.status_code)
        raise Refusal(refused) from error
    finally:
        question.end()
    if len(found) < len(texts):
        return refusal(499, "hung_up", "The asker hung up.")
    data = tuple(EmbeddingTold(index=i, embedding=_written(one, asked.encoding_format)) for i, one in enumerate(found))
    tokens = sum(one.tokens for one in found)
    usage = Read(prompt_tokens=tokens, total_tokens=tokens)
    return answered(EmbeddingsTold(data=data, model=target.name, usage=usage, adapter=any(one.active for one in found)))


def _texts(asked: EmbeddingsAsked) -> tuple[str, ...]:
    """What is to be read. Raises Refusal where that is no text, nothing, or too much at once."""
    given: tuple[Any, ...] = (asked.input,) if isinstance(asked.input, str) else asked.input
    texts = tuple(one for one in given if isinstance(one, str))
    if len(texts) < len(given):
        raise Refusal(refusal(400, "tokens_unsupported", TOKENS))
    if len(texts) > MOST:
        raise Refusal(refusal(400, "too_many_texts", f"At most {MOST} texts at once; these are {len(texts):,}."))
    if not all(text.strip() for text in texts):
        raise Refusal(refusal(400, "no_text", "input: one of the texts is empty."))
    return texts


def _written(one: Embedded, form: str) -> tuple[float, ...] | str:
    if form == "float":
        return one.numbers
    return base64.b64encode(struct.pack(f"<{len(one.numbers)}f", *one.numbers)).decode("ascii")
