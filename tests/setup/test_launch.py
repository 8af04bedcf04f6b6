"""Holds launch.py to its promises: a page at once, at one address, that turns into the app; one app per workspace; plain sentences.

The launcher is real and so are its processes; only the app behind it is a small stand-in, so that a test takes seconds.
"""

from __future__ import annotations

import ast
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loralab.core.paths import CHECKOUT
from loralab.setup.doorway import bind, free_port
from loralab.setup.opened import read_note, running_port, write_note

pytestmark = pytest.mark.worker

STAND_IN = """
import http.server, os, subprocess, sys, time
port, home = int(sys.argv[2]), sys.argv[4]
class App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def reply(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        if self.path == "/slowly":
            self.send_response(200)
            self.end_headers()
            for word in (b"one ", b"two"):
                self.wfile.write(word)
                self.wfile.flush()
                time.sleep(0.3)
            self.close_connection = True
        elif self.path == "/die":
            os._exit(3)
        else:
            self.reply(b"the app itself, asked as " + self.headers["Host"].encode())
    def do_POST(self):
        self.reply(self.rfile.read(int(self.headers["Content-Length"]))[::-1])
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
        command = [sys.executable, "-c", DRIVER.format(root=str(CHECKOUT), code=code), "--home", str(workspace), *arguments]
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


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _get(port: int, path: str = "/", method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    """One request on a connection of its own; status 0 where nothing listens."""
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        asked.request(method, path, body)
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


def _phase(port: int) -> str:
    status, body = _get(port, "/.launch/state")
    return json.loads(body)["phase"] if status == 200 else ""


def test_the_page_is_there_within_half_a_second_and_turns_into_the_app(launch, tmp_path):
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    limit = max(0.5, 10 * (time.perf_counter() - began))  # ten bare starts of Python, where other work keeps the machine busy
    took = []
    port = 0
    for turn in range(3):
        port = free_port()
        process = launch("--port", str(port), "--no-browser", workspace=tmp_path / str(turn))
        took.append(_until(lambda: _get(port)[0] == 200))  # noqa: B023 (used at once)
        assert b"Starting LoRALab" in _get(port)[1]
        if took[-1] < limit:
            break
        process.terminate()
    assert min(took) < limit
    assert _phase(port) == "starting"
    assert _get(port, "/anything", "POST", b"x")[0] == 503
    _until(lambda: _phase(port) == "ready")
    assert _get(port)[1] == f"the app itself, asked as 127.0.0.1:{port}".encode()


def test_uploads_and_streams_pass_through_unchanged(launch):
    port = free_port()
    launch("--port", str(port), "--no-browser")
    _until(lambda: _phase(port) == "ready")
    upload = os.urandom(3_000_000)
    assert _get(port, "/up", "POST", upload) == (200, upload[::-1])
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    asked.request("GET", "/slowly")
    answer = asked.getresponse()
    began = time.perf_counter()
    assert answer.read1() == b"one ", "the first word does not wait for the second"
    assert time.perf_counter() - began < 0.3
    assert answer.read() == b"two"
    asked.close()


def test_a_second_launch_shows_the_first_app(launch, home, tmp_path):
    seen = tmp_path / "seen"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> "{seen}"\n')
    browser.chmod(0o755)
    port = free_port()
    first = launch("--port", str(port), browser=browser)
    _until(lambda: running_port(home) == port)
    second = launch(browser=browser)
    _, words = second.communicate(timeout=20)
    assert second.returncode == 0
    assert f"already open at http://127.0.0.1:{port}" in words
    _until(lambda: seen.is_file() and seen.read_text().split() == [f"http://127.0.0.1:{port}"] * 2)
    assert first.poll() is None


def test_a_stale_note_does_not_keep_the_app_from_opening(launch, home):
    port = free_port()
    write_note(home, 1, free_port(), "of an app that is gone")
    launch("--port", str(port), "--no-browser")
    _until(lambda: running_port(home) == port)
    stranger = dict(read_note(home), token="guessed")
    assert _get(port, f"/.launch/hello?token={stranger['token']}")[0] == 404


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals to send")
def test_closing_ends_the_app_but_not_a_training(launch, home, name):
    port = free_port()
    process = launch("--port", str(port), "--no-browser")
    _until(lambda: _phase(port) == "ready")
    visitor = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    visitor.request("GET", "/")
    visitor.getresponse().read()  # and stays, as a browser does
    process.send_signal(getattr(signal, name))
    _, words = process.communicate(timeout=20)
    visitor.close()
    assert process.returncode == 0
    assert words.splitlines()[1:] == ["LoRALab is closed. A training that runs goes on: open LoRALab again to see it."]
    assert _get(port)[0] == 0
    assert _alive(int((home / "training").read_text()))
    assert read_note(home) == {}


def test_a_taken_port_is_one_sentence_when_asked_for_and_no_matter_when_not(launch, home):
    with bind(0) as other:
        taken = other.getsockname()[1]
        process = launch("--port", str(taken), "--no-browser")
        _, words = process.communicate(timeout=20)
        assert process.returncode == 1
        assert words.strip() == f"Port {taken} is used by another program: leave --port away and a free one is taken."
    launch("--no-browser")
    _until(lambda: running_port(home) is not None)
    assert running_port(home) != taken


def test_a_workspace_that_cannot_be_written_is_one_sentence(launch, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    process = launch("--no-browser", workspace=tmp_path / "file" / "lab")
    _, words = process.communicate(timeout=20)
    assert process.returncode == 1
    assert words.strip().endswith("may not be written: choose another one with --home.")


def test_an_app_that_cannot_start_is_one_sentence_in_terminal_and_page(launch, home):
    port = free_port()
    process = launch("--port", str(port), "--no-browser", code="raise SystemExit('broken on purpose')")
    _until(lambda: _phase(port) == "failed")
    _, words = process.communicate(timeout=20)
    assert process.returncode == 1
    assert words.strip().count("\n") == 0
    assert "stopped while starting" in words
    assert "broken on purpose" in (home / "launch.log").read_text()


def test_an_app_that_dies_later_is_said(launch):
    port = free_port()
    process = launch("--port", str(port), "--no-browser")
    _until(lambda: _phase(port) == "ready")
    assert _get(port, "/die")[0] == 0
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
    for file in [CHECKOUT / "launch.py", CHECKOUT / "loralab" / "paths.py", *(CHECKOUT / "loralab" / "setup").glob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            roots = {name.split(".")[0] for name in names}
            assert roots <= {*sys.stdlib_module_names, "loralab"}, file.name


def test_an_unknown_command_is_a_usage_error():
    done = subprocess.run([sys.executable, "launch.py", "fly"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "invalid choice" in done.stderr
