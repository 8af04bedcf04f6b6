"""Owns launch.py's command line. Invariant: only what a command prints itself reaches standard output; set-up speaks on standard error.

Exit codes: the command's own; 1 when set-up could not be done, with one sentence; 2 for a command that does not exist.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from loralab.setup.environment import Place
from loralab.setup.machine import find_chromium
from loralab.setup.opening import Opening, child_environment, open_app
from loralab.setup.progress import Progress, SetupProblem, Terminal


def read_arguments(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The choices, and what is handed on to `demo` and `test` as it is. Exits with 2 on a mistake."""
    parser = argparse.ArgumentParser(prog="launch.py", description="LoRALab: teach a language model your examples, on this computer.")
    parser.add_argument("command", nargs="?", default="app", choices=["app", "demo", "test"], help="app (if left away), demo or test")
    parser.add_argument("--port", type=_port, default=None, help="where the app answers (default: 7860, or any free port)")
    parser.add_argument("--home", type=Path, default=None, help="workspace folder (default: LoRALab in your home folder)")
    parser.add_argument("--nightly", action="store_true", help="with test: every test there is, and every journey in the browser")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command == "app":
        parser.error(f"unknown: {' '.join(rest)}")
    return options, rest


def _port(text: str) -> int:
    port = int(text)
    if not 1 <= port <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return port


def workspace(chosen: Path | None) -> Path:
    """The workspace folder: the chosen one, LORALAB_HOME, or LoRALab in the user's home."""
    return Path(chosen or os.environ.get("LORALAB_HOME") or Path.home() / "LoRALab").expanduser().resolve()


def run_demo(options: argparse.Namespace, rest: Sequence[str]) -> int:
    """Set up, then train and judge on bundled data; standard output is the demo's."""
    from loralab.setup.steps import ensure

    progress = Progress()
    python = ensure(Place(), ["core"], progress, Terminal(progress))
    return _call([str(python), "-m", "loralab", "demo", *rest], options.home)


def run_tests(options: argparse.Namespace, rest: Sequence[str]) -> int:
    """Set up with what the tests need, say what has to be left out, and run them in two processes; the last line is pytest's."""
    from loralab.setup.steps import ensure

    progress = Progress()
    terminal = Terminal(progress)
    python = ensure(Place(), ["core", "tests"], progress, terminal)
    if find_chromium() is None:
        terminal.say("Left out: the browser tests, because no Chromium or Chrome was found on this computer.")
    tier = "nightly" if options.nightly else "test"
    return _call(
        [str(python), "-m", "pytest", "--tier", tier, "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", *rest], options.home
    )


def _call(command: Sequence[str], home: Path | None) -> int:
    """Run a command in the checkout with our standard streams. An interrupted one has ended by itself."""
    with subprocess.Popen(command, cwd=Place().root, env=child_environment(workspace(home) if home else None)) as child:
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:
                continue  # the child was told as well, and says how it ends


def main(arguments: Sequence[str]) -> int:
    """Do what was asked; every failure of set-up is one sentence."""
    if sys.stderr is None:  # started without a console, as pythonw does
        sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 (it lives as long as the process)
    options, rest = read_arguments(arguments)
    try:
        if options.command == "demo":
            return run_demo(options, rest)
        if options.command == "test":
            return run_tests(options, rest)
        return open_app(Opening(workspace(options.home), options.port, browser=not options.no_browser))
    except SetupProblem as problem:
        sys.stderr.write(f"\n{problem}\n")
        code = 1
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. Start again and it goes on where it stopped.\n")
        code = 130
    alone = os.name == "nt" and not arguments and not os.environ.get("LORALAB_STARTER")  # the window closes with us
    if alone and sys.stdin is not None and sys.stdin.isatty():
        input("Press Enter to close this window.")
    return code
