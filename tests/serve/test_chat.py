"""Answering: the generation loop, the server's gate and manners, and the app's end of it, with a real worker process."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from loralab.core.errors import RunFailed
from loralab.runs import runs
from loralab.serve import client as chat
from loralab.serve.client import ChatServer
from tests.support import tiny

pytestmark = pytest.mark.worker

ASK = [{"role": "user", "content": "What is the colour of grass?"}]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def server(home: Path, folders: tuple[Path, Path]) -> Iterator[ChatServer]:
    opened = ChatServer.open(home, *folders)
    yield opened
    chat.release(home)


def wait_until_gone(home: Path, run: str, seconds: float = 30) -> Any:
    limit = time.monotonic() + seconds
    while runs.view(home, run).active and time.monotonic() < limit:
        time.sleep(0.1)
    return runs.view(home, run)


# ---- the server ------------------------------------------------------------------------------------------------------------


def test_no_route_answers_without_the_token(server: ChatServer) -> None:
    url = f"http://127.0.0.1:{server.note.port}"
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": server.note.token}):
        for method, path in (("GET", "/health"), ("GET", "/v1/models"), ("POST", "/v1/chat/completions"), ("GET", "/nowhere")):
            response = httpx.request(method, url + path, headers=headers, json={"messages": ASK} if method == "POST" else None)
            assert response.status_code == 401, (path, headers)


def test_the_token_is_readable_by_its_owner_only(server: ChatServer, home: Path) -> None:
    note = runs.folder(home, server.note.run) / "server.json"
    assert len(json.loads(note.read_text())["token"]) >= 32
    if os.name == "posix":
        assert note.stat().st_mode & 0o077 == 0


def test_the_whole_answer_has_openais_shape(server: ChatServer) -> None:
    with server.note.client(60) as client:
        models = client.get("/v1/models").json()
        body = client.post("/v1/chat/completions", json={"model": "any", "messages": ASK, "max_tokens": 12, "n": 1}).json()
    assert models["data"][0]["adapters"] == ["default"]
    assert body["object"] == "chat.completion"
    assert body["choices"][0]["message"]["role"] == "assistant"
    assert body["choices"][0]["finish_reason"] in ("stop", "length")
    assert body["usage"]["completion_tokens"] <= 12
    assert body["active_adapters"] == ["default"]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"messages": []}', b'{"messages": [{"role": "user", "content": "x"}], "temperature": -1}', b'{"messages": 3}']
)
def test_a_bad_request_gets_400_and_words(server: ChatServer, body: bytes) -> None:
    with server.note.client(60) as client:
        response = client.post("/v1/chat/completions", content=body)
    assert response.status_code == 400
    assert response.json()["error"]["message"]


def test_streamed_answer_says_which_adapter_answered(server: ChatServer, adapted: tuple[Any, Any]) -> None:
    from loralab.serve.generate import adapter_off, answer, default_penalty

    on = server.ask(ASK, max_tokens=24)
    assert server.last_active == ("default",)
    off = server.ask(ASK, base=True, max_tokens=24)
    assert server.last_active == ()
    again = server.ask(ASK, max_tokens=24)
    penalty = default_penalty(adapted[0])
    assert on == again == answer(*adapted, ASK, 24, penalty)[0]
    with adapter_off(adapted[0]):
        assert off == answer(*adapted, ASK, 24, penalty)[0]
    assert on != off


def test_after_an_abandoned_answer_the_adapter_is_on_again(server: ChatServer) -> None:
    whole = server.ask(ASK, max_tokens=24)
    for _ in range(3):
        stream = server.stream(ASK, base=True, max_tokens=200, temperature=1.0, seed=5)
        assert next(stream)
        stream.close()
    assert server.ask(ASK, max_tokens=24) == whole
    assert server.last_active == ("default",)


def test_hanging_up_stops_the_writing(adapted: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the real HTTP server, with a model slowed down so that its steps can be counted."""
    import asyncio
    import socket

    import uvicorn

    from loralab.serve import app, generate, speaker

    steps: list[float] = []
    real = generate.next_logits

    def slow(*given: Any) -> Any:
        steps.append(time.monotonic())
        time.sleep(0.05)
        return real(*given)

    monkeypatch.setattr(generate, "next_logits", slow)
    talks = speaker.Speaker(*adapted)

    async def scene() -> int:
        with socket.create_server(("127.0.0.1", 0)) as door:
            web = app.make_app(talks, "secret", {"name": "tiny", "created": 0.0})
            server = uvicorn.Server(uvicorn.Config(web, log_level="warning", lifespan="off", timeout_graceful_shutdown=1))
            serving = asyncio.create_task(server.serve(sockets=[door]))
            url = f"http://127.0.0.1:{door.getsockname()[1]}/v1/chat/completions"
            body = {"messages": ASK, "stream": True, "max_tokens": 150, "temperature": 1.0, "seed": 3, "stop": []}
            async with (
                httpx.AsyncClient(headers={"Authorization": "Bearer secret"}, trust_env=False) as client,
                client.stream("POST", url, json=body) as response,
            ):
                async for line in response.aiter_lines():
                    if '"content": ""' not in line and line:
                        break
            await asyncio.sleep(1.0)  # far less than 150 steps take
            after_hanging_up = len(steps)
            await asyncio.sleep(0.5)
            busy = talks.busy
            server.should_exit = True
            await serving
            assert len(steps) == after_hanging_up
            return busy

    assert asyncio.run(scene()) == 0
    assert 0 < len(steps) < 60
    talks.close()


def test_a_page_that_points_its_name_at_this_computer_is_not_answered() -> None:
    """Not even with the token."""
    from starlette.testclient import TestClient

    from loralab.serve import app

    web: Any = app.make_app(None, "secret", {"name": "tiny", "created": 0.0})  # pyright: ignore[reportArgumentType]
    told = {"Authorization": "Bearer secret"}
    for host, status in (("evil.example", 403), ("127.0.0.1.evil.example:80", 403), ("127.0.0.1:8000", 200), ("[::1]:8000", 200)):
        assert TestClient(web).get("/health", headers=told | {"Host": host}).status_code == status, host


def test_before_and_after_grow_beside_each_other(adapted: tuple[Any, Any]) -> None:
    """Two answers take turns piece by piece, each as it is alone; the adapter is on again after all, a third waits."""
    import asyncio

    from loralab.core.records import Message
    from loralab.serve import generate, speaker

    talks = speaker.Speaker(*adapted)
    asked, order = [Message.model_validate(m) for m in ASK], []

    async def answer(name: str, adapter: bool, gone: int = 1000) -> str:
        text = ""
        pieces = talks.speak(asked, generate.Sampling(max_new_tokens=30), adapter)
        async for piece in pieces:
            if isinstance(piece, str):
                order.append(name)
                text += piece
                if len(text) > gone:
                    await pieces.aclose()
                    break
        return text

    async def scene() -> tuple[list[str], list[str], str]:
        alone = [await answer("", adapter) for adapter in (True, False)]
        order.clear()
        together = await asyncio.gather(answer("after", True), answer("before", False), answer("third", True))
        await answer("left", True, gone=3)
        return alone, list(together), await answer("next", True)

    alone, together, afterwards = asyncio.run(scene())
    talks.close()
    assert together == [*alone, alone[0]]
    assert alone[0] == afterwards
    first = [name for name in order[: order.index("third")] if name]
    assert sum(one != other for one, other in itertools.pairwise(first)) > min(first.count("after"), first.count("before"))
    assert generate.active_adapters(talks.model) == ("default",)


def test_several_at_once_are_each_answered_as_if_alone(server: ChatServer) -> None:
    from concurrent.futures import ThreadPoolExecutor

    alone = [server.ask(ASK, base=base, max_tokens=30) for base in (False, True)]

    def ask(base: bool) -> tuple[str, tuple[str, ...]]:
        mine = ChatServer(server.home, server.note)
        return mine.ask(ASK, base=base, max_tokens=30), mine.last_active

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(ask, [False, True, False, True]))
    assert together == [(alone[0], ("default",)), (alone[1], ())] * 2


def test_opening_again_finds_the_same_worker(server: ChatServer, home: Path, folders: tuple[Path, Path]) -> None:
    assert ChatServer.open(home, *folders).note == server.note


# ---- its life --------------------------------------------------------------------------------------------------------------


def test_closing_ends_the_worker_and_removes_its_note(home: Path, folders: tuple[Path, Path]) -> None:
    bare = ChatServer.open(home, folders[0])
    bare.ask(ASK, max_tokens=3)
    assert bare.last_active == ()  # no adapter was asked for, none answered
    bare.close()
    assert wait_until_gone(home, bare.note.run).state == "stopped"
    assert not (runs.folder(home, bare.note.run) / "server.json").exists()
    assert not bare.alive
    with pytest.raises(RunFailed, match="broke off"):
        bare.ask(ASK)
    bare.close()  # closing twice is no mistake


def test_an_idle_worker_lets_go_of_its_memory(home: Path, folders: tuple[Path, Path]) -> None:
    options = {"model": str(folders[0]), "adapter": "", "stamp": "", "idle_minutes": 1 / 60}
    run = runs.start(home, "serve", options=options)
    view = wait_until_gone(home, run, 60)
    assert view.state == "finished"
    assert view.ending is not None
    assert "Nobody asked" in view.ending.what


def test_a_worker_that_cannot_start_says_why(home: Path, tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="not on this computer"):
        ChatServer.open(home, tmp_path / "absent")


def test_a_newer_adapter_gets_a_new_worker(home: Path, folders: tuple[Path, Path], tmp_path: Path) -> None:
    adapter = tiny.adapter_folder(tmp_path / "adapter", folders[0], strength=0.1)
    before = chat.stamp(str(adapter))
    tiny.adapter_folder(adapter, folders[0], strength=0.9)
    assert chat.stamp(str(adapter)) != before


def test_the_apps_end_imports_no_torch() -> None:
    code = "import sys, loralab.serve.client; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_job_that_wants_the_machine_gets_the_chats_memory(home: Path, folders: tuple[Path, Path]) -> None:
    held = ChatServer.open(home, *folders)
    assert chat.release(home) >= 1
    again = ChatServer.open(home, *folders)  # at once: the one that is going is not taken for a living one
    assert again.note.run != held.note.run
    assert wait_until_gone(home, held.note.run).state == "stopped"
    assert again.ask(ASK, max_tokens=3) is not None
    chat.release(home)
