"""Shared models that look at pictures, with a real child process behind the application: classes, boxes, masks."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loralab.lab import Lab
from loralab.lab.serving import Desk
from loralab.sharing.server.app import make_app
from loralab.sharing.server.limits import Limits
from loralab.sharing.server.site import Site
from tests.support import picture_runs
from tests.support.asgi import ask, bearer

pytestmark = pytest.mark.worker

ROUTES = {"classify": "/v1/classify", "detect": "/v1/detect", "segment": "/v1/segment"}


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    """A workspace for each kind; one child looks for all of them."""
    found = {}
    for task in ROUTES:
        home = tmp_path_factory.mktemp(task)
        picture_runs.made(home, task, medical=task == "segment")
        lab = Lab(home)
        shared = lab.deploy(picture_runs.RUN)
        site = Site(home, Desk(home), "owner", Limits(1e9, 1e9, 1e9, 1e9, 1e9, 1e9))
        if found:
            site.eyes = next(iter(found.values()))[1].eyes
        found[task] = (make_app(site), site, shared, bearer(lab.link(shared.id)[0].token))
    yield found
    next(iter(found.values()))[1].eyes.close()


def png() -> bytes:
    raw = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (48, 80, 3), np.uint8)).save(raw, "PNG")
    return raw.getvalue()


def form(raw: bytes, name: str = "x.png"):
    body = f'--x\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n\r\n'.encode() + raw + b"\r\n--x--\r\n"
    return (b"content-type", b"multipart/form-data; boundary=x"), body


def asked(app, path, key, body, *headers):
    heard = asyncio.run(ask(app, "POST", path, [key, *headers], body))
    return heard.status, json.loads(heard.body)


@pytest.mark.parametrize("task", ROUTES)
def test_a_file_and_base64_are_answered_as_the_app_answers(sites, task, tmp_path):
    app, site, shared, key = sites[task]
    before = set(Path(tempfile.gettempdir()).glob("loralab-*.png"))
    kind, body = form(png())
    status, told = asked(app, ROUTES[task], key, body, kind)
    assert status == 200, told
    assert told["deployment"] == shared.id
    coded = "data:image/png;base64," + base64.b64encode(png()).decode()
    assert asked(app, ROUTES[task], key, json.dumps({"image": coded}).encode()) == (200, told)
    assert set(Path(tempfile.gettempdir()).glob("loralab-*.png")) == before, "nothing of a picture is kept"
    file = tmp_path / "x.png"
    file.write_bytes(png())
    look = site.eyes.look(Path(shared.model), site.home / "deployments" / shared.id / "artifacts" / "adapter", file)
    if task == "classify":
        assert sum(one["probability"] for one in told["chances"]) == pytest.approx(1, abs=1e-4)
        assert told["unsure"] is look.after.unsure
        assert told["chances"][0]["label"] == look.after.chances[0][0]
    elif task == "detect":
        assert (told["width"], told["height"]) == (80, 48)
        assert len(told["boxes"]) == sum(n for _, n in look.after.counts)
    else:
        mask = np.asarray(Image.open(io.BytesIO(base64.b64decode(told["mask"]))))
        assert mask.shape == (told["height"], told["width"]) == (48, 80)
        assert told["areas"][0]["share"] == pytest.approx(look.after.shares[0][1], abs=1e-6)
        assert told["medical"] is True
        assert shared.private, "pictures of patients are private"


def test_what_is_no_picture_is_said_and_other_kinds_are_not_asked(sites):
    app, _, _, key = sites["classify"]
    kind, body = form(b"no picture at all", "../../x.png")
    assert asked(app, "/v1/classify", key, body, kind)[1]["error"]["code"] == "unreadable_picture"
    assert asked(app, "/v1/classify", key, b'{"image": "***"}')[1]["error"]["code"] == "no_picture"
    assert (
        asked(app, "/v1/detect", key, json.dumps({"image": base64.b64encode(png()).decode()}).encode())[1]["error"]["code"] == "wrong_kind"
    )
    assert asked(app, "/v1/chat/completions", key, b"{}")[0] == 404
