"""Owns the table of operations: path, to whom it opens, what it takes and gives, and the function that does it.

Invariant: there is no way in beside this table; an operation that only the owner may use opens to no scope.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from loralab.sharing.server import answers, embeddings, openapi, page, pictures, shapes, training, tuning, weights
from loralab.sharing.server.gate import Caller
from loralab.sharing.server.operation import ANYBODY, OWNER, Operation
from loralab.sharing.server.site import Site, answered

CHAT, LOOK = frozenset({"chat"}), frozenset({"classify"})
LINKS = frozenset({"chat", "classify", "weights", "page"})


async def _health(_: Site, __: Request, ___: Caller) -> Response:
    """The server is there."""
    return answered(shapes.HealthTold())


async def _openapi(_: Site, __: Request, ___: Caller) -> Response:
    """The description of everything here, for programs."""
    return JSONResponse(description())


async def _docs(_: Site, __: Request, ___: Caller) -> Response:
    """The description of everything here, for people."""
    return page.as_page(docs_page())


@cache
def description() -> dict[str, Any]:
    """Made once: the operations do not change while the server runs."""
    return openapi.description(operations())


@cache
def docs_page() -> str:
    """Likewise."""
    return page.read("docs.html").replace("<!--operations-->", openapi.described(operations()))


@cache
def operations() -> tuple[Operation, ...]:
    """All of them."""
    html = "text/html"
    say, s = Operation, shapes
    return (
        say("GET", "/", ANYBODY, "The page a link opens", page.opened, media=html),
        say("GET", "/docs", ANYBODY, "This page", _docs, media=html),
        say("GET", "/openapi.json", ANYBODY, "The description for programs", _openapi),
        say("GET", "/health", ANYBODY, "Whether the server is there", _health, gives=s.HealthTold),
        say("GET", "/v1/models", LINKS, "What may be asked with this key", answers.models, gives=s.ModelsTold),
        say("GET", "/v1/models/{model}", LINKS, "One model", answers.model, gives=s.ModelTold),
        *_words(),
        say(
            "POST",
            "/v1/classify",
            LOOK,
            "Which class a picture is of",
            pictures.classify,
            s.LookAsked,
            s.ClassifyTold,
            "image",
            counts=True,
        ),
        say(
            "POST",
            "/v1/detect",
            LOOK,
            "Which things are in it, and where",
            pictures.detect,
            s.LookAsked,
            s.DetectTold,
            "image",
            counts=True,
        ),
        say("POST", "/v1/segment", LOOK, "Which parts are marked", pictures.segment, s.LookAsked, s.SegmentTold, "image", counts=True),
        say(
            "GET",
            "/inference/weights",
            frozenset({"weights"}),
            "Download what was learned, in ranges, with its checksum",
            weights.weights,
            query=("deployment", "form"),
            media="application/octet-stream",
            counts=True,
        ),
        *_pages(),
        *_owners(),
    )


def _words() -> tuple[Operation, ...]:
    """What answers in words, or reads them."""
    say, s, e = Operation, shapes, embeddings
    numbers = embeddings.embeddings
    return (
        say("POST", "/v1/chat/completions", CHAT, "Answer a conversation", answers.chat, s.ChatAsked, s.ChatTold, counts=True),
        say("POST", "/v1/completions", CHAT, "Go on from a text", answers.completions, s.TextAsked, s.TextTold, counts=True),
        say("POST", "/v1/embeddings", CHAT, "Turn texts into numbers", numbers, e.EmbeddingsAsked, e.EmbeddingsTold, counts=True),
    )


def _pages() -> tuple[Operation, ...]:
    """What the link to a page opens."""
    say, links = Operation, frozenset({"page"})
    return (
        say("POST", "/page/enter", links, "Let this browser fetch the link's page", page.enter, counts=True),
        say("GET", "/page/{file:path}", links, "A file of the link's page", page.page, media="text/html"),
    )


def _owners() -> tuple[Operation, ...]:
    """What only the owner may, on this computer."""
    say, s = Operation, shapes
    sent = ("upload_id", "name")
    return (
        say(
            "POST",
            "/train/upload_data",
            OWNER,
            "Send examples, in one piece or several",
            training.upload_data,
            None,
            s.UploadTold,
            "file",
            sent,
        ),
        say("GET", "/train/upload_data", OWNER, "How far an upload is", training.upload_state, None, s.UploadTold, query=("upload_id",)),
        say("POST", "/train/start", OWNER, "Begin to learn from them", training.start, s.StartAsked, s.StartTold),
        say("GET", "/train/progress", OWNER, "Where a run is; also as events", training.progress, None, s.ProgressTold, query=("job_id",)),
        say("POST", "/inference/start", OWNER, "Freeze what a run learned, so that it answers", training.share, s.ShareAsked, s.ShareTold),
        say("POST", "/v1/files", OWNER, "Send a file of examples", tuning.add_file, None, s.FileTold, "file"),
        say("GET", "/v1/files", OWNER, "Every file that was sent", tuning.files, None, s.FilesTold),
        say("GET", "/v1/files/{file}", OWNER, "One file", tuning.file, None, s.FileTold),
        say("DELETE", "/v1/files/{file}", OWNER, "Delete a file", tuning.remove_file, None, s.Gone),
        say("POST", "/v1/fine_tuning/jobs", OWNER, "Begin a fine-tuning job", tuning.tune, s.TuneAsked, s.TuneTold),
        say("GET", "/v1/fine_tuning/jobs", OWNER, "The newest jobs", tuning.tunes, None, s.TunesTold),
        say("GET", "/v1/fine_tuning/jobs/{job}", OWNER, "One job", tuning.one_tune, None, s.TuneTold),
        say("POST", "/v1/fine_tuning/jobs/{job}/cancel", OWNER, "Stop a job", tuning.cancel, None, s.TuneTold),
        say("GET", "/v1/fine_tuning/jobs/{job}/events", OWNER, "What a job told so far", tuning.events),
    )
