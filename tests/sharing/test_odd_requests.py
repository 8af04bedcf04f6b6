"""Ten thousand odd requests: whatever comes in, an answer in one shape goes out, and nothing is told, started or kept by it."""

from __future__ import annotations

import asyncio
import json
import random

import psutil
import pytest

from loralab.sharing import links as book
from loralab.sharing.server.limits import Limits
from loralab.sharing.server.table import operations
from tests.sharing.test_gate import OWNER, made, path_of, shared
from tests.support.asgi import HOME, ask, bearer
from tests.support.shared_runs import RUN

__all__ = ["shared"]

PIECES = [
    "..",
    "%2e%2e",
    "//",
    "\\",
    "\x00",
    "ä",
    "/etc/passwd",
    "{model}",
    "a" * 600,
    "v1",
    "train",
    "inference",
    "?",
    "#",
    ";",
    "null",
    "page",
]
VALUES = [
    None,
    True,
    -1,
    0,
    1e308,
    "",
    "x" * 3000,
    "\ud800",
    "../..",
    [],
    {},
    [[]] * 9,
    {"role": "user"},
    [{"role": "user", "content": "x"}],
    [None],
    ["x", "y"],
    ["x"] * 200,
    [[1, 2], [3]],
    "base64",
]
FIELDS = ["model", "messages", "prompt", "stream", "n", "stop", "temperature", "top_p", "seed", "max_tokens", "tools", "image", "upload_id"]
FIELDS += [
    "encoding_format",
    "dimensions",
    "settings",
    "job_id",
    "training_file",
    "hyperparameters",
    "stream_options",
    "response_format",
    "input",
    "name",
]
HEADERS = [
    b"authorization",
    b"content-type",
    b"content-length",
    b"content-range",
    b"range",
    b"cookie",
    b"x-forwarded-for",
    b"accept",
    b"if-range",
]
TEXTS = [
    b"",
    b"bytes=0-",
    b"bytes=-1",
    b"bytes=9-1,2-3",
    b"bytes=0-0," * 500,
    b"bytes=99999999999999999999-",
    b"bytes 0-99999999999999999999/*",
    b"bytes 0-9/5",
    b"\xff\xfe",
    b"multipart/form-data",
    b"multipart/form-data; boundary=x",
]
TEXTS += [b"Bearer ", b"Basic eDp5", b"999999999999", b"-1", b"text/event-stream", b"'; drop table", b"127.0.0.1, ::1", b"loralab_link=x"]


def odd(chance: random.Random, paths, keys):
    path = chance.choice(paths) if chance.random() < 0.75 else "/" + "/".join(chance.choices(PIECES, k=chance.randint(0, 4)))
    method = chance.choice(["GET", "POST", "POST", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "X"])
    headers = [(chance.choice(HEADERS), chance.choice(TEXTS)) for _ in range(chance.randint(0, 3))]
    headers += [bearer(chance.choice(keys))] if chance.random() < 0.8 else []
    headers += [HOME] if chance.random() < 0.97 else [(b"host", chance.choice(TEXTS))]
    kind = chance.random()
    if kind < 0.6:
        body = json.dumps({chance.choice(FIELDS): chance.choice(VALUES) for _ in range(chance.randint(0, 6))}).encode()
    elif kind < 0.7:
        body = b"[" * chance.choice([1, 100, 50_000])
    elif kind < 0.8:
        body = b'--x\r\nContent-Disposition: form-data; name="image"; filename="../../x"\r\n\r\n' + chance.randbytes(40) + b"\r\n--x--\r\n"
    else:
        body = chance.randbytes(chance.randint(0, 200))
    query = chance.choice(
        [b"", b"deployment=..%2f..", b"form=merged", b"upload_id=file-" + b"0" * 24, b"job_id=../../x", b"name=%00/../x", b"%ff=%ff"]
    )
    return method, path, headers, body, query


@pytest.mark.nightly
def test_ten_thousand_odd_requests_break_nothing(home, lab, shared, monkeypatch):
    """No error of ours, no path, no traceback, no memory that grows; and nothing was started."""
    app, site = made(home)
    monkeypatch.setattr(site, "limits", Limits(1e9, 1e9, 1e9, 1e9, 1e9, 1e9, chunk=1 << 20))
    keys = [OWNER, "wrong", "", *(lab.link(shared.id, scope)[0].token for scope in ("chat", "weights", "page"))]
    paths = [path_of(one) for one in operations() if "look" not in one.summary]
    chance = random.Random(7)
    seen: dict[int, int] = {}

    async def scene() -> list[int]:
        sizes = []
        for i in range(10_000):
            given = odd(chance, paths, keys)
            method, path, headers, body, query = given
            heard = await asyncio.wait_for(ask(app, method, path, headers, body, query), 20)
            seen[heard.status] = seen.get(heard.status, 0) + 1
            assert heard.status < 500, given
            if heard.status >= 400 and method != "HEAD" and heard.body:
                assert set(json.loads(heard.body)["error"]) == {"message", "type", "param", "code"}, given
                assert str(home).encode() not in heard.body, given
                assert b"Traceback" not in heard.body, given
            if i in (2000, 9999):
                sizes.append(psutil.Process().memory_info().rss)
        return sizes

    before, after = asyncio.run(scene())
    assert after - before < 64 << 20
    assert seen.get(200, 0) > 100, "some of them came through"
    assert seen.get(404, 0) > 1000
    assert lab.names() == [RUN]
    assert book.links(home)
