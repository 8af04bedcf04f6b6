"""Those who send oddly: uploads in pieces out of order, ranges nobody asks for, heads that are bombs, and clients that hardly come."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import socket
import time

import httpx
import psutil
import pytest

from loralab.lab.serving import Desk
from loralab.sharing.server import site as room
from loralab.sharing.server.app import make_app
from loralab.sharing.server.site import Site
from tests.conftest import until
from tests.sharing.test_gate import MANY, OWNER
from tests.support.asgi import ask, bearer
from tests.support.shared_runs import RUN, planted


@pytest.fixture
def shared(home, lab):
    planted(home)
    return lab.deploy(RUN, "poet")


async def sent(app, upload: str, raw: bytes, start: int, end: int):
    """One piece of an upload."""
    headers = [bearer(OWNER), (b"content-range", f"bytes {start}-{end - 1}/{len(raw)}".encode())]
    query = f"upload_id={upload}".encode() if upload else b"name=rows.jsonl"
    return await ask(app, "POST", "/train/upload_data", headers, raw[start:end], query)


@pytest.mark.parametrize("seed", range(5))
def test_pieces_in_any_order_twice_and_overlapping_are_the_file_or_are_refused(home, lab, shared, seed):
    """Whatever comes when, what is there is a beginning of the file, and in the end the file; nothing else is ever taken for it."""
    app, chance = make_app(Site(home, Desk(home), OWNER, MANY)), random.Random(seed)
    raw = b"".join(json.dumps({"prompt": f"Question {i}?", "completion": f"{chance.random()}"}).encode() + b"\n" for i in range(200))

    async def scene() -> str:
        upload = json.loads((await sent(app, "", raw, 0, 10)).body)["upload_id"]
        cuts = sorted({0, len(raw), *chance.sample(range(len(raw)), 30)})
        pieces = [(a, min(len(raw), b + chance.choice((0, 0, 40)))) for a, b in itertools.pairwise(cuts)]
        chance.shuffle(pieces)
        seen: set[int] = set()
        while not await _whole(app, upload):
            at = json.loads((await ask(app, "GET", "/train/upload_data", [bearer(OWNER)], query=f"upload_id={upload}".encode())).body)
            start, end = chance.choice(pieces) if chance.random() < 0.7 else next(p for p in pieces if p[0] <= at["received"] < p[1])
            heard = await sent(app, upload, raw, start, end)
            seen.add(heard.status)
            if start > at["received"]:
                assert json.loads(heard.body)["error"]["code"] == "upload_gap"
            part = home / "sharing" / "uploads" / upload / "part"
            assert not part.is_file() or raw.startswith(part.read_bytes())
        assert seen == {201, 202, 409}, "whole, so far, and a gap"
        return upload

    upload = asyncio.run(scene())
    assert (home / "datasets" / upload / "rows.jsonl").read_bytes() == raw


async def _whole(app, upload: str) -> bool:
    told = await ask(app, "GET", "/train/upload_data", [bearer(OWNER)], query=f"upload_id={upload}".encode())
    return json.loads(told.body)["complete"]


def test_any_range_gives_those_very_bytes_or_is_refused(home, lab, shared):
    app, chance = make_app(Site(home, Desk(home), OWNER, MANY)), random.Random(3)
    key = bearer(OWNER)

    async def scene() -> None:
        whole = (await ask(app, "GET", "/inference/weights", [key], query=b"deployment=poet")).body
        for _ in range(150):
            first, last = chance.randint(-5, len(whole) + 5), chance.randint(-5, len(whole) * 2)
            both = f"bytes={first}-{last}"
            written = chance.choice((both, f"bytes={first}-", f"bytes=-{abs(last)}", f"{both},0-1", "x=1-2"))
            heard = await ask(app, "GET", "/inference/weights", [key, (b"range", written.encode())], query=b"deployment=poet")
            assert heard.status in (200, 206, 400, 416), written
            assert heard.status < 400 or json.loads(heard.body)["error"]["code"] == "bad_range"
            if heard.status == 206 and "content-range" in heard.headers:
                start, end = map(int, heard.headers["content-range"].removeprefix("bytes ").partition("/")[0].split("-"))
                assert heard.body == whole[start : end + 1], written

    asyncio.run(scene())


def test_a_body_that_hardly_comes_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(room, "SILENCE_S", 0.2)

    class Request:
        def __init__(self, *pauses: float) -> None:
            self.pauses, self.headers = pauses, dict[str, str]()

        async def stream(self):
            for pause in self.pauses:
                await asyncio.sleep(pause)
                yield b"{"

    def told(*pauses: float) -> int:
        async def scene() -> int:
            try:
                return -len(await room.body_of(Request(*pauses), 1000))  # type: ignore[arg-type]
            except room.Refusal as refusal:
                return refusal.response.status_code

        return asyncio.run(scene())

    assert told(0, 0.01, 0.01) == -3
    assert told(0, 5.0) == 408, "silence"
    assert told(*[0.05] * 20) == 408, "a byte at a time"


@pytest.mark.worker
def test_heads_that_are_bombs_and_slow_clients_take_nothing_from_others(home, lab, shared):
    """A real server: 300 connections that say nothing whole, heads of 200 kB and of 20,000 lines; a person asks all the while."""
    server = lab.serve()
    process, place = psutil.Process(server.pid), ("127.0.0.1", server.port)
    before, crowd = process.memory_info().rss, list[socket.socket]()
    try:
        for number in range(300):
            slow = socket.create_connection(place, timeout=30)
            slow.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0" if number % 2 else b"")
            crowd.append(slow)
        for bomb in (b"X-A: " + b"a" * 200_000, b"".join(b"X-%d: 1\r\n" % i for i in range(20_000)), b"Host: x\r\n" * 3, b"\x00\xff: \r\n"):
            assert _status(place, bomb) in (0, 400, 404, 431, 503)
        until(lambda: _healthy(server.here), seconds=60)
        assert process.memory_info().rss - before < 64 << 20
        until(lambda: all(_closed(one) for one in crowd), seconds=60)
    finally:
        for one in crowd:
            one.close()
        lab.stop_serving()


def _status(place: tuple[str, int], lines: bytes) -> int:
    """The status of an answer to a head with these lines; 0 where the connection was closed without one."""
    with socket.create_connection(place, timeout=30) as door:
        try:
            door.sendall(b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n" + lines + b"\r\n\r\n")
            first = door.recv(64)
        except OSError:
            return 0
    return int(first.split()[1]) if first else 0


def _healthy(address: str) -> bool:
    try:
        begun = time.monotonic()
        return httpx.get(f"{address}/health", timeout=20, trust_env=False).status_code == 200 and time.monotonic() - begun < 20
    except httpx.TransportError:
        return False


def _closed(one: socket.socket) -> bool:
    one.setblocking(False)
    try:
        return one.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
