"""Owns teaching over HTTP, for programs of the owner on this computer: send examples, start, look how far it is, share what came of it.

Invariant: whatever is asked goes through the same facade as the app; what it refuses is told in its words.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from loralab.core.errors import LabError
from loralab.core.events import RunView
from loralab.sharing.server import shapes
from loralab.sharing.server.gate import Caller, refusal
from loralab.sharing.server.shapes import ShareAsked, StartAsked
from loralab.sharing.server.site import Refusal, Site, answered, bounded, form_of, is_form, read
from loralab.sharing.server.uploads import Upload, Uploads, range_of

LOOK_S = 0.5  # between two looks at a run that is followed
BLOCK = 1 << 20
CODES = {"no_upload": 404, "no_run": 404, "upload_gap": 409, "upload_busy": 409, "disk_full": 507, "upload_too_long": 413}


def told(error: LabError) -> Refusal:
    """What the owner's program is told of a problem: the sentence a person would read."""
    code = error.problem.code
    return Refusal(refusal(CODES.get(code, 400), code, str(error)))


async def upload_data(site: Site, request: Request, _: Caller) -> Response:
    """Send examples: a zip, or any file the app reads. In one piece, or in several with Content-Range and `upload_id`."""
    uploads = site.uploads
    try:
        if is_form(request):
            return _so_far(await from_form(uploads, await form_of(request, site.limits.chunk)), 201)
        said = request.headers.get("content-range", "")
        part = range_of(said) if said else None
        if said and part is None:
            raise Refusal(refusal(400, "bad_range", "Content-Range: write it as bytes 0-1023/4096."))
        name, upload_id = request.query_params.get("name", "examples.zip"), request.query_params.get("upload_id", "")
        upload = uploads.get(upload_id) if upload_id else uploads.begin(name, part[2] if part else None)
        if upload.complete:
            return _so_far(upload)
        start = part[0] if part else upload.received if upload_id else 0
        upload = await uploads.add(upload, start, bounded(request, site.limits.chunk))
    except LabError as error:
        raise told(error) from error
    whole = upload.received == (part[2] if part and part[2] is not None else upload.total) or not (part or upload_id)
    if whole and upload.received == 0:
        uploads.remove(upload.id)
        raise Refusal(refusal(400, "empty", "The file is empty."))
    return _so_far(uploads.finish(upload), 201) if whole else _so_far(upload, 202)


async def upload_state(site: Site, request: Request, _: Caller) -> Response:
    """How far an upload is, to go on from there."""
    try:
        return _so_far(site.uploads.get(request.query_params.get("upload_id", "")))
    except LabError as error:
        raise told(error) from error


def _so_far(upload: Upload, status: int = 200) -> Response:
    shown = shapes.UploadTold(upload_id=upload.id, received=upload.received, total=upload.total, complete=upload.complete)
    response = answered(shown, status)
    response.headers["upload-offset"] = str(upload.received)
    return response


async def from_form(uploads: Uploads, form: Any) -> Upload:
    """A whole file from a form. Raises Refusal where there is none."""
    file = form.get("file")
    if not isinstance(file, UploadFile) or not file.size:
        raise Refusal(refusal(400, "no_file", "Send the examples as a file in the field “file”."))
    upload = uploads.begin(file.filename or "examples.jsonl", file.size)
    return uploads.finish(await uploads.add(upload, 0, _blocks(file)))


async def _blocks(file: UploadFile) -> AsyncIterator[bytes]:
    while block := await file.read(BLOCK):
        yield block


async def start(site: Site, request: Request, _: Caller) -> Response:
    """Begin to learn from what was sent; every setting that is not fixed is proposed, as in the app."""
    asked = await read(request, StartAsked, site.limits.body)
    run = await begin(site, asked.upload_id, asked.model, asked.settings, asked.title)
    return answered(shapes.StartTold(job_id=run, state=site.desk.view(run).state), 201)


async def begin(site: Site, upload_id: str, model: str, settings: dict[str, Any], title: str) -> str:
    """Start a run on an upload; its id. Raises Refusal in the facade's words."""
    try:
        upload = site.uploads.get(upload_id)
        if not upload.complete:
            raise Refusal(refusal(409, "upload_unfinished", f"The file is not whole yet: {upload.received} bytes are here."))
        return await asyncio.to_thread(site.desk.teach, site.uploads.place(upload), model, settings, title)
    except LabError as error:
        raise told(error) from error


async def progress(site: Site, request: Request, _: Caller) -> Response:
    """Where a run is; with `Accept: text/event-stream` at every change until it has ended."""
    run = request.query_params.get("job_id", "")
    try:
        view = await asyncio.to_thread(site.desk.view, run)
    except LabError as error:
        raise told(error) from error
    if "text/event-stream" in request.headers.get("accept", ""):
        return StreamingResponse(_followed(site, run, request), media_type="text/event-stream")
    return answered(so_far(view))


async def _followed(site: Site, run: str, request: Request) -> AsyncGenerator[bytes, None]:
    last = ""
    while not await request.is_disconnected():
        view = await asyncio.to_thread(site.desk.view, run)
        now = so_far(view).model_dump_json()
        if now != last:
            yield f"data: {now}\n\n".encode()
            last = now
        if not view.active:
            yield b"event: done\ndata: " + json.dumps({"state": view.state}).encode() + b"\n\n"
            return
        await asyncio.sleep(LOOK_S)


def so_far(view: RunView) -> shapes.ProgressTold:
    """A run as programs are told of it."""
    looks = [look for look in view.evaluations if look.split != "final"]
    verdict, ending = view.conclusion, view.ending
    return shapes.ProgressTold(
        job_id=view.run,
        state=view.state,
        phase=view.phase,
        step=view.step,
        total_steps=view.total_steps,
        fraction=view.fraction,
        seconds_left=view.seconds_left,
        loss=view.steps[-1].loss if view.steps else None,
        heldout_loss=looks[-1].loss if looks else None,
        problem=f"{ending.what} {ending.todo}".strip() if ending and view.state in ("failed", "killed") else "",
        learned=verdict.learned if verdict else "",
        usable=verdict.usable if verdict else "",
    )


async def share(site: Site, request: Request, _: Caller) -> Response:
    """Freeze what a finished run learned, so that it answers under its deployment id."""
    asked = await read(request, ShareAsked, site.limits.body)
    try:
        found = await asyncio.to_thread(site.desk.deploy, asked.job_id, asked.name)
    except LabError as error:
        raise told(error) from error
    return answered(shapes.ShareTold(deployment_id=found.id, model=found.called, answers=found.answers), 201)
