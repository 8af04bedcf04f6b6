"""Owns one opening of the app, from the double-click to the last Ctrl-C. Invariant: the page is up before anything slow begins.

The app is a child process on a port of its own; ending it never ends a training, which is a process by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from loralab.setup.doorway import HOST, Doorway, answers, bind, free_port, open_door
from loralab.setup.environment import Place, find_whole
from loralab.setup.machine import has_screen
from loralab.setup.opened import remove_note, running_port, write_note
from loralab.setup.problem import SetupProblem
from loralab.setup.progress import Progress, Terminal

PREFERRED_PORT = 7860
_START_S = 180  # a first start on a slow disk with a virus scanner; a start takes 2 to 5


@dataclass
class Opening:
    """What one start was asked for, and where it stands."""

    home: Path
    port: int | None = None
    browser: bool = True
    place: Place = field(default_factory=Place)
    command: Sequence[str] = ("-m", "ui.app")
    progress: Progress = field(default_factory=Progress)
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))


def open_app(opening: Opening) -> int:
    """Show the app and stay until it ends; or show the one that already runs. Returns the exit code. Raises SetupProblem."""
    try:
        opening.home.mkdir(parents=True, exist_ok=True)
        _log(opening).touch()
    except OSError as error:
        raise SetupProblem(f"The workspace folder {opening.home} may not be written: choose another one with --home.") from error
    terminal = Terminal(opening.progress)
    if port := running_port(opening.home):
        return _show_running(opening, port, terminal)
    try:
        listener = _listener(opening)
    except OSError:
        if port := running_port(opening.home, patience_s=1.0):  # two double-clicks at once
            return _show_running(opening, port, terminal)
        raise SetupProblem(f"Port {opening.port} is used by another program: leave --port away and a free one is taken.") from None
    write_note(opening.home, os.getpid(), listener.getsockname()[1], opening.token)
    try:
        return asyncio.run(_live(opening, listener, terminal))
    except KeyboardInterrupt:
        return 0
    finally:
        remove_note(opening.home, opening.token)


def _listener(opening: Opening) -> socket.socket:
    """The asked port or none; unasked, the usual one or any."""
    if opening.port is not None:
        return bind(opening.port)
    try:
        return bind(PREFERRED_PORT)
    except OSError:
        return bind(0)


def _show_running(opening: Opening, port: int, terminal: Terminal) -> int:
    address = f"http://{HOST}:{port}"
    terminal.say(f"LoRALab is already open at {address}")
    if opening.browser:
        _show(address)
    return 0


def _show(address: str) -> None:
    """Open the browser; where there is no screen the printed address is all there is."""
    if has_screen():
        import webbrowser

        webbrowser.open(address)


async def _live(opening: Opening, listener: socket.socket, terminal: Terminal) -> int:
    """Page, set-up, app, and the wait for its end."""
    doorway = Doorway(opening.progress, opening.token)
    address = f"http://{HOST}:{listener.getsockname()[1]}"
    server = await open_door(listener, doorway)
    _end_on_signals()
    if opening.browser:
        threading.Thread(target=_show, args=(address,), daemon=True).start()
    child: subprocess.Popen[bytes] | None = None
    try:
        python = find_whole(opening.place, ["core"]) or await _set_up(opening, terminal)
        port = free_port()
        opening.progress.phase = "starting"
        child = _start_child(opening, python, port)
        await _until_ready(child, port, opening)
        doorway.app_port = port
        opening.progress.phase = "ready"
        terminal.say(f"LoRALab is open at {address}  (Ctrl+C closes it; a training that runs goes on)")
        await _end_of(child, opening)
    except SetupProblem as problem:
        opening.progress.problem, opening.progress.phase = str(problem), "failed"
        terminal.say(str(problem))
        await _let_page_see(doorway)
        return 1
    except asyncio.CancelledError:
        terminal.say(_closing_words(opening.progress.phase))
        return 0
    finally:
        opening.progress.cancelled.set()
        server.close()
        if child is not None:
            _end_child(child)


def _closing_words(phase: str) -> str:
    """What a person who closes LoRALab at this point has to know."""
    if phase == "setup":
        return "Set-up is stopped: start again and it goes on where it stopped."
    return "LoRALab is closed. A training that runs goes on: open LoRALab again to see it."


async def _set_up(opening: Opening, terminal: Terminal) -> Path:
    """Install what is missing while the page goes on answering."""
    from loralab.setup.steps import ensure  # a start that finds everything in place does not pay for it

    return await asyncio.to_thread(ensure, opening.place, ["core"], opening.progress, terminal)


def _end_on_signals() -> None:
    """Make a closed terminal and a polite kill end as Ctrl-C does; Windows has neither."""
    task = asyncio.current_task()
    if os.name != "nt" and task is not None and threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            asyncio.get_running_loop().add_signal_handler(getattr(signal, name), task.cancel)


def child_environment(home: Path | None) -> dict[str, str]:
    """The environment of everything launch.py starts: calm threads, no telemetry, UTF-8, the chosen workspace."""
    ours = {
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUTF8": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "GRADIO_ANALYTICS_ENABLED": "False",
    }
    return os.environ | ours | ({"LORALAB_HOME": str(home)} if home else {})


def _log(opening: Opening) -> Path:
    return opening.home / "launch.log"


def _start_child(opening: Opening, python: Path, port: int) -> subprocess.Popen[bytes]:
    """The app, in a process group of its own so that Ctrl-C reaches it through us only."""
    command = [str(python), *opening.command, "--port", str(port), "--home", str(opening.home)]
    with _log(opening).open("wb") as log:
        return subprocess.Popen(
            command,
            cwd=opening.place.root,
            env=child_environment(opening.home),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=os.name != "nt",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )


async def _until_ready(child: subprocess.Popen[bytes], port: int, opening: Opening) -> None:
    """Wait until the app serves its page. Raises SetupProblem when it ends first or takes unreasonably long."""
    clock = asyncio.get_running_loop().time
    ends = clock() + _START_S
    while not await answers(port):
        if child.poll() is not None:
            raise SetupProblem(f"The app stopped while starting: start it again, and if it stays so the details are in {_log(opening)}.")
        if clock() > ends:
            raise SetupProblem(f"The app did not answer within {_START_S} seconds: close other programs and start again ({_log(opening)}).")
        await asyncio.sleep(0.05)


async def _let_page_see(doorway: Doorway) -> None:
    """Stay three seconds more, or until an open page has fetched the bad news."""
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(doorway.told.wait(), 3)
        await asyncio.sleep(0.1)  # for its answer to leave


async def _end_of(child: subprocess.Popen[bytes], opening: Opening) -> NoReturn:
    """Stay as long as the app does. Raises SetupProblem, because only we end it on purpose."""
    while child.poll() is None:  # noqa: ASYNC110 (a process started outside asyncio tells nobody when it ends)
        await asyncio.sleep(0.3)
    raise SetupProblem(f"LoRALab ended by itself: start it again; the details are in {_log(opening)}.")


def _end_child(child: subprocess.Popen[bytes]) -> None:
    """End the app and nothing else: its trainings are processes of their own."""
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(5)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
