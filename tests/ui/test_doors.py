"""Holds the doors of the running app: every route without, with a wrong and with the right secret; and pages elsewhere."""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loralab.core.paths import CHECKOUT
from loralab.lab import Lab
from ui.app import web
from ui.desk import Desk
from ui.doors import MAX_UPLOAD, Doors, tidy

pytestmark = pytest.mark.worker
SECRET = "open-sesame"
FORM = "multipart/form-data; boundary=x"
FILE = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\nhello\r\n--x--\r\n'
# What a route that is let in may answer without harm; one that is refused answers 403 and nothing else.
FILLED = {"path": "a", "path_or_url": "a", "url_path": "a", "api_name": "a", "page": "a", "ext": "ts", "size": "1"}


class Asker:
    """Asks the running app the way a program or a browser would."""

    def __init__(self, port: int, home: Path) -> None:
        self.port, self.home = port, home

    def __call__(
        self, path: str, method: str = "GET", secret: str | None = SECRET, body: bytes = b"", **headers: str
    ) -> tuple[int, Any, bytes]:
        sent = {"Host": f"127.0.0.1:{self.port}", "Accept": "text/html"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        if secret is not None:
            sent["Cookie"] = f"loralab_{self.port}={secret}"
        asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            asked.request(method, path, body or None, sent)
            answer = asked.getresponse()
            streams = "event-stream" in answer.headers.get("content-type", "")
            return answer.status, answer.headers, b"" if streams else answer.read()
        finally:
            asked.close()

    @property
    def ours(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    """The app in a process of its own, as launch.py starts it."""
    home = tmp_path_factory.mktemp("lab")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "ui.app", "--port", str(port), "--home", str(home)]
    child = subprocess.Popen(command, cwd=CHECKOUT, env=os.environ | {"LORALAB_SECRET": SECRET, "LORALAB_HOME": str(home)})
    asker = Asker(port, home)
    try:
        end = time.monotonic() + 120
        while time.monotonic() < end and child.poll() is None:
            try:
                asker("/")
                break
            except OSError:
                time.sleep(0.2)
        yield asker
    finally:
        child.terminate()
        child.wait(20)


def routes(of: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """Every method and path of an application, mounted ones and included ones too."""
    for route in of.routes:
        path = before + getattr(route, "path", "")
        inner = getattr(route, "app", None) or getattr(route, "original_router", None)
        if hasattr(inner, "routes"):
            yield from routes(inner, path.rstrip("/"))
        elif hasattr(route, "routes"):
            yield from routes(route, path.rstrip("/"))
        for method in getattr(route, "methods", None) or ():
            yield method, re.sub(r"\{(\w+)(:\w+)?\}", lambda found: FILLED.get(found[1], "1"), path)


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """The routes of the app that is served, read from its own tables."""
    doors: Any = web(Lab(tmp_path_factory.mktemp("same")), 1, SECRET)
    assert isinstance(doors, Doors)
    found = sorted(set(routes(doors.app)))
    assert {
        "/",
        "/config",
        "/gradio_api/upload",
        "/gradio_api/queue/data",
        "/gradio_api/file=a",
        "/static/a",
        "/gradio_api/openapi.json",
    } <= {path for _, path in found}
    assert len(found) > 60
    return found


def test_no_route_answers_without_the_secret_or_with_a_wrong_one(ask, every):
    for method, path in every:
        for secret in (None, "", "guessed", SECRET[:-1], SECRET + "x"):
            status, headers, _ = ask(path, method, secret, Origin=ask.ours)
            assert (method, path, status) == (method, path, 403)
            assert headers["x-frame-options"] == "DENY"
            assert headers["access-control-allow-origin"] is None
    for path in ("/docs", "/redoc", "/openapi.json", "/nowhere", "//", "/%2e%2e/", "/?key=guessed", "/config?key=" + SECRET):
        assert ask(path, secret=None)[0] == 403


def test_every_route_is_let_through_to_with_the_secret(ask, every):
    # streams without an end; developers' tools; and the one that closes the app
    left_out = ("/gradio_api/heartbeat", "/gradio_api/dev", "/gradio_api/vibe", "/gradio_api/undo", "/lab/quit")
    for method, path in every:
        if not path.startswith(left_out):
            status, headers, body = ask(path, method, Origin=ask.ours)  # whether there is something at such a path is Gradio's to say
            assert not (status == 403 and b"<main><h1>" in body), (method, path)
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert (headers["referrer-policy"], headers["x-content-type-options"]) == ("no-referrer", "nosniff")


def test_the_link_is_exchanged_for_a_cookie_and_leads_to_a_clean_address(ask):
    status, headers, body = ask(f"/?key={SECRET}", secret=None)
    assert (status, headers["location"], body) == (303, "/", b"")
    assert headers["set-cookie"] == f"loralab_{ask.port}={SECRET}; HttpOnly; Path=/; SameSite=strict"
    assert ask("/")[0] == 200
    elsewhere = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    status, headers, body = ask(f"/?key={SECRET}", secret=None, **elsewhere)
    assert (status, b'http-equiv="refresh" content="0;url=/"' in body) == (200, True)
    assert "HttpOnly" in headers["set-cookie"]


def test_who_is_refused_reads_what_to_do(ask):
    _, headers, body = ask("/", secret=None)
    assert headers["content-type"].startswith("text/html")
    assert b"Start LoRALab again with a double click" in body


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "127.0.0.1:{port}.evil.example", ""])
def test_a_page_that_points_its_name_at_this_computer_gets_nothing(ask, host):
    host = host.format(port=ask.port)
    for path in ("/", "/config", f"/?key={SECRET}", "/gradio_api/file=a"):
        assert ask(path, Host=host)[0] == 403
    assert ask("/gradio_api/upload", "POST", body=FILE, Host=host, Origin=f"http://{host}", Content_Type=FORM)[0] == 403


@pytest.mark.parametrize("name", ["localhost", "[::1]", "LOCALHOST"])
def test_the_other_names_of_this_computer_are_let_in(ask, name):
    assert ask("/", Host=f"{name}:{ask.port}")[0] == 200


@pytest.mark.parametrize(
    "origin", ["http://127.0.0.1:9999", "http://localhost:{port}", "https://127.0.0.1:{port}", "https://evil.example", "null"]
)
def test_no_other_origin_may_read_or_change_anything(ask, origin):
    origin = origin.format(port=ask.port)
    asked = {"Origin": origin, "Access_Control_Request_Method": "POST"}
    for method, path in (("GET", "/config"), ("OPTIONS", "/config"), ("POST", "/gradio_api/upload"), ("POST", "/gradio_api/queue/join")):
        status, headers, _ = ask(path, method, **asked)
        assert status == 403
        assert headers["access-control-allow-origin"] is None
        assert headers["access-control-allow-credentials"] is None


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_form_a_script_or_a_frame_of_another_site_gets_nothing(ask, site):
    sent = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": "navigate", "Content_Type": FORM}
    before = set(ask.home.rglob("*"))
    assert ask("/gradio_api/upload", "POST", body=FILE, Sec_Fetch_Dest="document", Origin="https://evil.example", **sent)[0] == 403
    assert ask("/gradio_api/upload", "POST", body=FILE, Sec_Fetch_Dest="document", **sent)[0] == 403
    assert set(ask.home.rglob("*")) == before
    for mode, dest in (("navigate", "iframe"), ("no-cors", "script"), ("cors", "empty"), ("no-cors", "image")):
        assert ask("/config", Sec_Fetch_Site=site, Sec_Fetch_Mode=mode, Sec_Fetch_Dest=dest)[0] == 403
    assert ask("/", Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document")[0] == 200


def test_what_changes_something_says_where_it_comes_from(ask):
    assert ask("/gradio_api/upload", "POST", body=FILE, Content_Type=FORM)[0] == 403
    status, _, body = ask("/gradio_api/upload", "POST", body=FILE, Content_Type=FORM, Sec_Fetch_Site="same-origin")
    assert (status, b"a.txt" in body) == (200, True)


def test_an_upload_that_is_too_large_is_refused_with_a_sentence(ask):
    for length, status, words in ((str(MAX_UPLOAD + 1), 413, b"too large"), ("many", 400, b"")):
        asked = http.client.HTTPConnection("127.0.0.1", ask.port, timeout=60)
        asked.putrequest("POST", "/gradio_api/upload")
        for name, value in {"Cookie": f"loralab_{ask.port}={SECRET}", "Origin": ask.ours, "Content-Length": length}.items():
            asked.putheader(name, value)
        asked.endheaders()
        answer = asked.getresponse()
        assert (answer.status, words in answer.read()) == (status, True)
        asked.close()


def test_the_oldest_uploads_make_room(tmp_path):
    folder = tmp_path / "uploads"
    for age, name in enumerate(("new", "middle", "old")):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").write_bytes(b"x" * 10)
        os.utime(folder / name / "file", (1_000 - age, 1_000 - age))
    tidy(folder, 30)
    assert len(list(folder.iterdir())) == 3
    tidy(folder, 15)
    assert [path.name for path in folder.iterdir()] == ["new"]
    tidy(folder / "gone", 0)


def test_a_large_upload_is_kept_without_being_held_in_memory(home, tmp_path):
    with (tmp_path / "large.jsonl").open("wb") as file:
        file.truncate(64 << 20)
    desk: Any = Desk(SimpleNamespace(lab=SimpleNamespace(home=home)))  # pyright: ignore[reportArgumentType]
    tracemalloc.start()
    try:
        kept = desk.keep(str(tmp_path / "large.jsonl"))
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert Path(kept).stat().st_size == 64 << 20
    assert desk.keep(str(tmp_path / "large.jsonl")) == kept


def test_a_stream_is_not_held_back(ask):
    asked = http.client.HTTPConnection("127.0.0.1", ask.port, timeout=60)
    asked.request("GET", "/gradio_api/heartbeat/abc", headers={"Cookie": f"loralab_{ask.port}={SECRET}"})
    assert asked.getresponse().read1(5), "its first word comes while it goes on"
    asked.close()
