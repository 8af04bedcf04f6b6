"""Owns files and fine-tuning jobs in OpenAI's shape: other names for uploads and runs, so that programs written for them work here."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from loralab.core.errors import LabError
from loralab.core.jobs import TrainJob
from loralab.sharing import deployment as frozen
from loralab.sharing.server import shapes
from loralab.sharing.server.gate import Caller, refusal
from loralab.sharing.server.shapes import TuneAsked
from loralab.sharing.server.site import Refusal, Site, answered, form_of, is_form, read
from loralab.sharing.server.training import begin, from_form, told
from loralab.sharing.server.uploads import Upload

Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]
STATUS: dict[str, Status] = {
    "waiting": "queued",
    "running": "running",
    "finished": "succeeded",
    "stopped": "cancelled",
    "failed": "failed",
    "killed": "failed",
}
MOST = 100  # jobs that are listed


async def add_file(site: Site, request: Request, _: Caller) -> Response:
    """Send a file of examples."""
    if not is_form(request):
        raise Refusal(refusal(400, "bad_form", "Send a form with the file in the field “file”."))
    try:
        return answered(_file(await from_form(site.uploads, await form_of(request, site.limits.chunk))))
    except LabError as error:
        raise told(error) from error


async def files(site: Site, _: Request, __: Caller) -> Response:
    """Every file that was sent."""
    return answered(shapes.FilesTold(data=tuple(_file(one) for one in site.uploads.all())))


async def file(site: Site, request: Request, _: Caller) -> Response:
    """One of them."""
    try:
        return answered(_file(site.uploads.get(request.path_params["file"])))
    except LabError as error:
        raise told(error) from error


async def remove_file(site: Site, request: Request, _: Caller) -> Response:
    """Delete one."""
    name = request.path_params["file"]
    try:
        site.uploads.remove(name)
    except LabError as error:
        raise told(error) from error
    return answered(shapes.Gone(id=name))


def _file(one: Upload) -> shapes.FileTold:
    return shapes.FileTold(id=one.id, bytes=one.received, created_at=int(one.created), filename=one.name)


async def tune(site: Site, request: Request, _: Caller) -> Response:
    """Begin a fine-tuning job."""
    asked = await read(request, TuneAsked, site.limits.body)
    given = asked.hyperparameters
    if given.learning_rate_multiplier != "auto":
        what = "learning_rate_multiplier: leave it at auto, or fix learning_rate with /train/start."
        raise Refusal(refusal(400, "bad_request", what))
    settings: dict[str, Any] = {"epochs": given.n_epochs, "effective_batch": given.batch_size}
    settings = {name: value for name, value in settings.items() if value != "auto"} | ({} if asked.seed is None else {"seed": asked.seed})
    run = await begin(site, asked.training_file, asked.model, settings, asked.suffix or "")
    return answered(await asyncio.to_thread(_job, site, run))


async def tunes(site: Site, _: Request, __: Caller) -> Response:
    """The newest jobs."""

    def listed() -> tuple[shapes.TuneTold, ...]:
        names = [name for name in reversed(site.desk.names()) if isinstance(site.desk.job(name), TrainJob)]
        return tuple(_job(site, name) for name in names[:MOST])

    return answered(shapes.TunesTold(data=await asyncio.to_thread(listed)))


async def one_tune(site: Site, request: Request, _: Caller) -> Response:
    """One job."""
    try:
        return answered(await asyncio.to_thread(_job, site, request.path_params["job"]))
    except LabError as error:
        raise told(error) from error


async def cancel(site: Site, request: Request, _: Caller) -> Response:
    """Stop a job; what it learned so far is kept."""
    name = request.path_params["job"]
    try:
        await asyncio.to_thread(site.desk.stop, name)
        return answered(await asyncio.to_thread(_job, site, name))
    except LabError as error:
        raise told(error) from error


async def events(site: Site, request: Request, _: Caller) -> Response:
    """What a job told so far."""
    name = request.path_params["job"]
    try:
        view = await asyncio.to_thread(site.desk.view, name)
    except LabError as error:
        raise told(error) from error
    data = [
        {"object": "fine_tuning.job.event", "id": f"{name}-{i}", "created_at": int(note.time), "level": "info", "message": note.text}
        for i, note in enumerate(view.notes)
        if note.text
    ]
    return JSONResponse({"object": "list", "data": data[-MOST:], "has_more": False})


def _job(site: Site, run: str) -> shapes.TuneTold:
    """A run as OpenAI's job. Raises UserError where there is none."""
    view, job = site.desk.view(run), site.desk.job(run)
    plan = job.plan
    shared = next((one.called for one in frozen.deployments(site.home) if one.run == run), None)
    problem = view.ending if view.state in ("failed", "killed") else None
    given = {"n_epochs": plan.get("epochs"), "batch_size": plan.get("effective_batch")}
    return shapes.TuneTold(
        id=run,
        created_at=int(view.started),
        finished_at=int(view.ended) if view.ended and not view.active else None,
        model=str(plan.get("base_model", "")),
        fine_tuned_model=shared,
        status=STATUS[view.state],
        training_file=Path(str(plan.get("dataset", ""))).parent.name,
        seed=int(plan.get("seed", 0)),
        hyperparameters=given,
        error={"code": problem.code, "message": f"{problem.what} {problem.todo}".strip(), "param": None} if problem else None,
    )
