"""Holds launch.py to its promises: a page at once, that goes to the app; no second open port; one app per workspace; plain sentences.

The launcher is real and so are its processes; only the app behind it is a small stand-in, so that a test takes seconds.
"""

from __future__ import annotations

import ast
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import psutil
import pytest

from loralab.core.paths import CHECKOUT
from loralab.setup.opened import choose_port, running_link, write_note

pytestmark = pytest.mark.worker

STAND_IN = """
import http.server, os, subprocess, sys, time
port, home, secret = int(sys.argv[2]), sys.argv[4], os.environ["LORALAB_SECRET"]
assert secret not in sys.argv
class App(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/die":
            os._exit(3)
        self.send_response(200 if self.path == "/?key=" + secret else 403)
        self.end_headers()
        self.wfile.write(b"the app itself")
    def log_message(self, *words):
        pass
training = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
with open(os.path.join(home, "training"), "w") as note:
    note.write(str(training.pid))
time.sleep(1.0)
http.server.ThreadingHTTPServer(("127.0.0.1", port), App).serve_forever()
"""
DRIVER = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from loralab.setup import opening
from loralab.setup.commands import main
opening.find_whole = lambda place, groups: Path(sys.executable)
made = opening.Opening
import loralab.setup.commands as commands
commands.Opening = lambda *given, **named: made(*given, **named, command=("-c", {code!r}))
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def launch(home: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the launcher with the stand-in app; all that was started is ended afterwards."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, code: str = STAND_IN, workspace: Path = home, browser: Path | None = None) -> subprocess.Popen[str]:
        ported = () if "--port" in arguments else ("--port", str(free_port()))  # other tests may want the usual one at the same time
        command = [sys.executable, "-c", DRIVER.format(root=str(CHECKOUT), code=code), "--home", str(workspace), *ported, *arguments]
        env = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")}
        env |= {"BROWSER": f"{browser} %s"} if browser else {}
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=20)
    training = home / "training"
    if training.is_file() and _alive(int(training.read_text())):
        os.kill(int(training.read_text()), signal.SIGTERM)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _get(link: str, path: str = "", host: str = "") -> tuple[int, bytes]:
    """One request on a connection of its own; status 0 where nothing listens."""
    to = urlsplit(urljoin(link, path))
    asked = http.client.HTTPConnection("127.0.0.1", to.port, timeout=20)
    try:
        asked.request("GET", f"{to.path}?{to.query}".rstrip("?"), headers={"Host": host} if host else {})
        answer = asked.getresponse()
        return answer.status, answer.read()
    except OSError:
        return 0, b""
    finally:
        asked.close()


def _until(what: Callable[[], bool], seconds: float = 30) -> float:
    """Wait for something; returns how long it took."""
    began = time.perf_counter()
    while not what():
        assert time.perf_counter() - began < seconds, "it never happened"
        time.sleep(0.01)
    return time.perf_counter() - began


def _link(home: Path) -> str:
    """What opens the app or the page before it, as a second launch reads it; empty until there is one."""
    try:
        return str(json.loads((home / "app.json").read_text())["link"])
    except OSError:
        return ""


def _splash(home: Path) -> str:
    _until(lambda: bool(_link(home)))
    return _link(home)


def _state(splash: str) -> dict[str, Any]:
    status, body = _get(splash, "state")
    return json.loads(body) if status == 200 else {"phase": ""}


def _opened(home: Path) -> str:
    """The link of an app that is up, as the page learns it."""
    splash, link = _splash(home), ""

    def ready() -> bool:
        nonlocal link
        link = link or _state(splash).get("link", "")
        return bool(link)

    if "key=" in splash:
        return splash
    _until(ready)
    _until(lambda: _link(home) == link)
    return link


def test_the_page_is_there_at_once_and_goes_to_the_app(launch, tmp_path):
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    limit = max(1.0, 20 * (time.perf_counter() - began))  # twenty bare starts of Python, where other work keeps the machine busy
    took = []
    home = tmp_path
    for turn in range(3):
        home = tmp_path / f"Wörk space {turn}"
        launch("--port", str(free_port()), "--no-browser", workspace=home)
        took.append(_until(lambda: bool(_link(home)) and _get(_link(home))[0] == 200))  # noqa: B023 (used at once)
        if took[-1] < limit:
            break
    assert min(took) < limit
    splash = _link(home)
    assert b"Starting LoRALab" in _get(splash)[1]
    assert _state(splash)["phase"] == "starting"
    assert _state(splash)["link"] == "", "nobody is sent to an app that does not answer yet"
    link = _opened(home)
    assert _get(link) == (200, b"the app itself")


def test_the_page_before_the_app_answers_only_who_knows_its_address(launch, home):
    launch("--no-browser")
    splash = _splash(home)
    for path in ("/", "/state", "/wrong/state", "/favicon.ico"):
        assert _get(splash, path)[0] == 404
    assert _get(splash, "state", host="evil.example")[0] == 404
    assert _get(splash, "state", host=urlsplit(splash).netloc)[0] == 200
    assert (home / "app.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("page_is_open", [True, False])
def test_no_second_port_stays_open(launch, home, page_is_open):
    process = launch("--no-browser")
    splash = _splash(home)
    if page_is_open:
        _opened(home)
    else:
        _until(lambda: "key=" in _link(home))
    _until(lambda: _get(splash)[0] == 0)
    ports = {found.laddr.port for found in psutil.Process(process.pid).net_connections("tcp") if found.status == psutil.CONN_LISTEN}
    assert ports == set()
    assert _get(_link(home)) == (200, b"the app itself")


def test_a_second_launch_opens_the_first_app_with_a_link_that_works(launch, home, tmp_path):
    seen = tmp_path / "seen"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> "{seen}"\n')
    browser.chmod(0o755)
    first = launch("--port", str(free_port()), browser=browser)
    splash, link = _splash(home), _opened(home)
    second = launch(browser=browser)
    _, words = second.communicate(timeout=20)
    assert second.returncode == 0
    assert f"already open at {link}" in words
    _until(lambda: seen.is_file() and seen.read_text().split() == [splash, link])
    assert _get(link)[0] == 200
    assert first.poll() is None


def test_a_stale_note_does_not_keep_the_app_from_opening(launch, home):
    write_note(home, f"http://127.0.0.1:{free_port()}/?key=of-an-app-that-is-gone")
    port = free_port()
    launch("--port", str(port), "--no-browser")
    _until(lambda: f":{port}/?key=" in _link(home) and running_link(home) == _link(home))
    write_note(home, f"http://127.0.0.1:{port}/?key=guessed")
    assert running_link(home) is None


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals to send")
def test_closing_ends_the_app_but_not_a_training(launch, home, name):
    process = launch("--no-browser")
    link = _opened(home)
    process.send_signal(getattr(signal, name))
    _, words = process.communicate(timeout=20)
    assert process.returncode == 0
    assert words.splitlines()[1:] == ["LoRALab is closed. A training that runs goes on: open LoRALab again to see it."]
    assert _get(link)[0] == 0
    assert _alive(int((home / "training").read_text()))
    assert _link(home) == ""


def test_a_taken_port_is_one_sentence_when_asked_for_and_no_matter_when_not(launch, home):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        process = launch("--port", str(taken), "--no-browser")
        _, words = process.communicate(timeout=20)
        assert process.returncode == 1
        assert words.strip() == f"Port {taken} is used by another program: name no port and a free one is taken."
        assert choose_port(None) != taken
    launch("--no-browser")
    assert _get(_opened(home))[0] == 200


def test_a_workspace_that_cannot_be_written_is_one_sentence(launch, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    process = launch("--no-browser", workspace=tmp_path / "file" / "lab")
    _, words = process.communicate(timeout=20)
    assert process.returncode == 1
    assert words.strip().endswith("may not be written: choose another one, or change its rights.")


def test_an_app_that_cannot_start_is_one_sentence_in_terminal_and_page(launch, home):
    process = launch("--no-browser", code="import time; time.sleep(1); raise SystemExit('broken on purpose')")
    splash = _splash(home)
    _until(lambda: _state(splash)["phase"] == "failed")
    _, words = process.communicate(timeout=20)
    assert process.returncode == 1
    assert words.strip().count("\n") == 0
    assert "stopped while starting" in words
    assert "broken on purpose" in (home / "launch.log").read_text()


def test_an_app_that_dies_later_is_said(launch, home):
    process = launch("--no-browser")
    assert _get(_opened(home), "/die")[0] == 0
    _, words = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "LoRALab ended by itself" in words


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 8, 10), (3, 9, 18)])
def test_an_old_python_is_told_in_one_sentence(version):
    code = f"import sys; sys.version_info = {(*version, 'final', 0)!r}; exec(compile(open('launch.py').read(), 'launch.py', 'exec'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().startswith(f"LoRALab needs Python 3.10 or newer and this is Python {version[0]}.{version[1]}:")
    assert "\n" not in done.stderr.strip()
    ast.parse((CHECKOUT / "launch.py").read_text(), feature_version=(3, 4))


def test_launching_needs_nothing_but_the_standard_library():
    done = subprocess.run([sys.executable, "-S", "-I", "launch.py", "--help"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for file in [CHECKOUT / "launch.py", CHECKOUT / "loralab" / "core" / "paths.py", *(CHECKOUT / "loralab" / "setup").glob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            roots = {name.split(".")[0] for name in names}
            assert roots <= {*sys.stdlib_module_names, "loralab"}, file.name


def test_an_unknown_command_is_a_usage_error():
    done = subprocess.run([sys.executable, "launch.py", "fly"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "invalid choice" in done.stderr
