"""Owns answering about pictures: classes, boxes, masks. Invariant: nothing of a picture is kept once it was looked at."""

from __future__ import annotations

import asyncio
import base64
import binascii
import io
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from loralab.core.errors import LabError
from loralab.serve.sees import Raw
from loralab.sharing.deployment import adapter_of
from loralab.sharing.server import shapes
from loralab.sharing.server.answers import busy
from loralab.sharing.server.gate import Caller, refusal
from loralab.sharing.server.limits import Busy
from loralab.sharing.server.shapes import LookAsked
from loralab.sharing.server.site import Refusal, Site, Target, answered, form_of, is_form, read

COME_AGAIN = 5.0
SAFE = ("unreadable_picture",)  # problems whose words are about the picture


async def classify(site: Site, request: Request, caller: Caller) -> Response:
    """Which class a picture is of."""
    target, raw = await _looked(site, request, caller, "classify")
    chances = sorted(zip(raw.labels, raw.said["chances"], strict=True), key=lambda pair: -pair[1])
    unsure = chances[0][1] < raw.unsure_below
    told = tuple(shapes.Chance(label=label, probability=round(chance, 6)) for label, chance in chances)
    first = "" if unsure else chances[0][0]
    about = _about(target, raw)
    return answered(shapes.ClassifyTold(**about, label=first, unsure=unsure, chances=told))


async def detect(site: Site, request: Request, caller: Caller) -> Response:
    """Which things are in a picture, and where."""
    target, raw = await _looked(site, request, caller, "detect")
    boxes = tuple(shapes.Box(label=label, box=tuple(box), score=round(sure, 6)) for label, box, sure in raw.said["boxes"])
    return answered(shapes.DetectTold(**_about(target, raw), width=raw.width, height=raw.height, boxes=boxes))


async def segment(site: Site, request: Request, caller: Caller) -> Response:
    """Which parts of a picture are marked."""
    target, raw = await _looked(site, request, caller, "segment")
    mask = raw.mask if raw.mask is not None else np.zeros((1, 1), np.uint8)
    png = io.BytesIO()
    Image.fromarray(mask).save(png, "PNG")
    areas = tuple(shapes.Area(label=label, share=float((mask == k).mean())) for k, label in enumerate(raw.labels, start=1))
    coded = base64.b64encode(png.getvalue()).decode("ascii")
    size: dict[str, Any] = {"width": int(mask.shape[1]), "height": int(mask.shape[0])}
    return answered(shapes.SegmentTold(**_about(target, raw), **size, mask=coded, labels=raw.labels, areas=areas))


def _about(target: Target, raw: Raw) -> dict[str, Any]:
    return {"model": target.name, "deployment": target.like.id, "medical": raw.medical}


async def _looked(site: Site, request: Request, caller: Caller, answers: str) -> tuple[Target, Raw]:
    """What the model of a deployment says of the picture that came in. Raises Refusal."""
    name, image = await _received(site, request)
    target = site.target(caller, name, frozenset({answers}))
    question = site.counts.begin(target.name, answers)
    try:
        async with site.turns.turn():
            raw = await asyncio.to_thread(_look, site, target, image)
        question.answered(0)
    except Busy as error:
        question.refused(429)
        raise Refusal(busy()) from error
    except LabError as error:
        question.refused(400 if error.problem.code in SAFE else 503)
        if error.problem.code in SAFE:
            what = "This is no picture that can be opened. Send a PNG or JPG."
            raise Refusal(refusal(400, "unreadable_picture", what)) from error
        what = "The model could not look at it. Its owner finds the reason in the app."
        raise Refusal(refusal(503, "not_answered", what, "server_error")) from error
    finally:
        question.end()
    return target, raw


def _look(site: Site, target: Target, image: bytes) -> Raw:
    handle, name = tempfile.mkstemp(prefix="loralab-", suffix=".png")  # for this user only; its content says what it is
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(image)
        return site.eyes.raw(Path(target.like.model), adapter_of(site.home, target.like.id), Path(name))
    finally:
        Path(name).unlink(missing_ok=True)


async def _received(site: Site, request: Request) -> tuple[str, bytes]:
    """The model's name and the picture's bytes, from a form or from JSON."""
    if is_form(request):
        form = await form_of(request, site.limits.picture)
        image, name = form.get("image") or form.get("file"), form.get("model") or ""
        if not isinstance(image, UploadFile) or not isinstance(name, str):
            raise Refusal(refusal(400, "no_picture", "Send the picture as a file in the field “image”."))
        return name, await image.read()
    asked = await read(request, LookAsked, site.limits.picture)
    text = asked.image.partition(",")[2] if asked.image.startswith("data:") else asked.image
    try:
        return asked.model, base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal(refusal(400, "no_picture", "image: this is not base64.")) from error
