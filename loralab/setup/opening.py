"""Owns one opening of the app, from the double-click to the last Ctrl-C. Invariant: the page is up before anything slow begins.

The app is a child process; ending it never ends a training, which is a process by itself.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loralab.setup.environment import Place, find_whole
from loralab.setup.machine import has_screen
from loralab.setup.opened import HOST, choose_port, opens, remove_note, running_link, write_note
from loralab.setup.progress import Progress, SetupProblem, Terminal
from loralab.setup.splash import Splash

GOING = "LoRALab is closed. A training that runs goes on: open LoRALab again to see it."
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
    secret: str = field(default_factory=lambda: os.environ.pop("LORALAB_SECRET", "") or secrets.token_urlsafe(32))

    @property
    def log(self) -> Path:
        """What the app itself prints."""
        return self.home / "launch.log"


def open_app(opening: Opening) -> int:
    """Show the app and stay until it ends; or show the one that already runs. Returns the exit code. Raises SetupProblem."""
    terminal = Terminal(opening.progress)
    try:
        opening.home.mkdir(parents=True, exist_ok=True)
        opening.log.touch()
    except OSError as error:
        raise SetupProblem(f"The workspace folder {opening.home} may not be written: choose another one, or change its rights.") from error
    if link := running_link(opening.home):
        terminal.say(f"LoRALab is already open at {link}")
        _show(opening, link)
        return 0
    choose_port(opening.port)
    _end_on_signals()
    splash = Splash(opening.progress, browser=opening.browser and has_screen())
    write_note(opening.home, splash.link)
    try:
        return _live(opening, splash, terminal)
    except KeyboardInterrupt:
        early = "Set-up is stopped: start again and it goes on where it stopped."
        terminal.say(early if opening.progress.phase == "setup" else GOING)
        return 0
    except SetupProblem as problem:
        opening.progress.problem, opening.progress.phase = str(problem), "failed"
        terminal.say(str(problem))
        splash.close(stay_s=3)
        return 1
    finally:
        remove_note(opening.home)


def _live(opening: Opening, splash: Splash, terminal: Terminal) -> int:
    """Page, set-up, app, and the wait for its end."""
    threading.Thread(target=_show, args=(opening, splash.link), daemon=True).start()
    python = find_whole(opening.place, ["core"])
    if python is None:
        from loralab.setup.first_model import fetch_first_model
        from loralab.setup.steps import ensure  # a start that finds everything in place does not pay for it

        python = ensure(opening.place, ["core"], opening.progress, terminal)
        fetch_first_model(opening.place, python, child_environment(opening.home), opening.progress, terminal)
    opening.progress.phase = "starting"
    port = choose_port(opening.port)
    child = _start_child(opening, python, port)
    try:
        link = f"http://{HOST}:{port}/?key={opening.secret}"
        _until_ready(child, link, opening)
        write_note(opening.home, link)
        opening.progress.link, opening.progress.phase = link, "ready"
        terminal.say(f"LoRALab is open at {link}  (Ctrl+C closes it; a training that runs goes on)")
        threading.Thread(target=splash.close, daemon=True).start()
        while child.poll() is None:  # waiting for it would not be interrupted on Windows
            time.sleep(0.3)
        if child.returncode == 0:  # it was closed on its page
            terminal.say(GOING)
            return 0
        raise SetupProblem(f"LoRALab ended by itself: start it again; the details are in {opening.log}.")
    finally:
        _end_child(child)


def _show(opening: Opening, link: str) -> None:
    """Open the browser; where there is no screen the printed address is all there is."""
    if opening.browser and has_screen():
        import webbrowser

        webbrowser.open(link)


def _end_on_signals() -> None:
    """Make a closed terminal and a polite kill end as Ctrl-C does; Windows has neither."""

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    if os.name != "nt" and threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            signal.signal(getattr(signal, name), end)


def child_environment(home: Path | None) -> dict[str, str]:
    """The environment of everything launch.py starts: calm threads, no telemetry, UTF-8, the chosen workspace."""
    calm = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "TOKENIZERS_PARALLELISM": "false", "PYTHONUTF8": "1"}
    silent = {"HF_HUB_DISABLE_TELEMETRY": "1", "GRADIO_ANALYTICS_ENABLED": "False"}
    return os.environ | calm | silent | ({"LORALAB_HOME": str(home)} if home else {})


def _start_child(opening: Opening, python: Path, port: int) -> subprocess.Popen[bytes]:
    """The app, in a process group of its own so that Ctrl-C reaches it through us only. Its command line can be read by anybody."""
    command = [str(python), *opening.command, "--port", str(port), "--home", str(opening.home)]
    with opening.log.open("wb") as log:
        return subprocess.Popen(
            command,
            cwd=opening.place.root,
            env=child_environment(opening.home) | {"LORALAB_SECRET": opening.secret},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=os.name != "nt",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )


def _until_ready(child: subprocess.Popen[bytes], link: str, opening: Opening) -> None:
    """Wait until the app lets the holder of the link in. Raises SetupProblem when it ends first or takes unreasonably long."""
    ends = time.monotonic() + _START_S
    while not opens(link, patience_s=60):
        if child.poll() is not None:
            raise SetupProblem(f"The app stopped while starting: start it again, and if it stays so the details are in {opening.log}.")
        if time.monotonic() > ends:
            raise SetupProblem(f"The app did not answer within {_START_S} seconds: close other programs and start again ({opening.log}).")
        time.sleep(0.05)


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
