"""The files for a double click: they find a Python, say in a window what is missing, and open launch.py, wherever the folder lies.

The one for Windows cannot be run here: what its system would stumble over is looked for in its text.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from loralab.core.paths import CHECKOUT

COMMAND, DESKTOP, BAT = (CHECKOUT / name for name in ("LoRALab.command", "loralab.desktop", "LoRALab.bat"))
LAUNCH = "import os, sys\nopen({told!r}, 'w').write('\\n'.join([os.getcwd(), *sys.argv]))\nsys.stderr.write({said!r})\nsys.exit({code})\n"
posix = pytest.mark.skipif(os.name == "nt", reason="these two are for a Mac and for Linux")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of LoRALab's folder as people have them, with a window program that writes down what it would show."""
    place, tools = tmp_path / "Größe & Co" / "Lora Läb (2)", tmp_path / "tools"
    for made in (place, tools):
        made.mkdir(parents=True)
    for file in (COMMAND, DESKTOP):
        shutil.copy(file, place)
    launch(place)
    (tools / "xmessage").write_text(f"#!/bin/sh\ncat >{str(tmp_path / 'window')!r}\n")
    (tools / "xmessage").chmod(0o755)
    return place


def launch(place: Path, said: str = "", code: int = 0) -> None:
    (place / "launch.py").write_text(LAUNCH.format(told=str(place / "told"), said=said, code=code), "utf-8")


def opened(place: Path, command: list[str], path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
    around = {**os.environ, "PATH": f"{place.parents[1] / 'tools'}{os.pathsep}{path}", "LORALAB_SYSTEM": "Linux"}
    return subprocess.run(command, cwd="/", env=around, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)


def window(place: Path) -> str:
    shown = place.parents[1] / "window"
    return " ".join(shown.read_text("utf-8").split()) if shown.exists() else ""


@posix
def test_a_double_click_opens_launch_in_its_own_folder(folder):
    done = opened(folder, [str(folder / "LoRALab.command"), "--port", "7861"])
    assert (done.returncode, window(folder)) == (0, "")
    assert (folder / "told").read_text("utf-8").splitlines() == [str(folder), "launch.py", "--port", "7861"]


@posix
def test_what_launch_could_not_do_is_said_in_a_window(folder):
    launch(folder, "Looking at this computer\n\nThe disk filled up: free about 4 GB and start again.\n", 1)
    assert opened(folder, [str(folder / "LoRALab.command")]).returncode == 1
    assert window(folder) == "The disk filled up: free about 4 GB and start again."
    (folder.parents[1] / "window").unlink()
    launch(folder, "Stopped.\n", 130)  # a person closed it
    opened(folder, [str(folder / "LoRALab.command")])
    assert window(folder) == ""


@posix
@pytest.mark.parametrize("python", ["absent", "too old"])
def test_without_a_python_that_fits_it_says_where_to_get_one(folder, python):
    tools = folder.parents[1] / "tools"
    for name in ("sh", "dirname", "uname", "grep", "tail", "fold", "cat"):
        (tools / name).symlink_to(shutil.which(name) or name)
    if python == "too old":
        (tools / "python3").write_text("#!/bin/sh\nexit 1\n")
        (tools / "python3").chmod(0o755)
    script = folder / "LoRALab.command"
    text = re.sub(r"python \\\n.*; do", "python; do", script.read_text("utf-8"))  # the usual places of this computer hold some
    script.write_text(text, "utf-8")
    assert opened(folder, [str(script)], path="").returncode == 1
    assert window(folder).startswith("LoRALab needs Python 3.10 or newer")
    assert "python.org/downloads" in window(folder)
    assert not (folder / "told").exists()


def arguments(line: str, location: str) -> list[str]:
    """The arguments of an Exec line by the rules of the Desktop Entry Specification."""
    found: list[str] = []
    for quoted, plain in re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', line.replace("\\\\", "\\")):
        one = re.sub(r'\\(["`$\\])', r"\1", quoted) if quoted else plain.replace("%k", location)
        found.append(one.replace("%%", "%"))
    return found


@posix
@pytest.mark.parametrize("named", ["path", "address"])
def test_the_desktop_entry_opens_it_too(folder, named):
    entry = folder / "loralab.desktop"
    line = next(line for line in entry.read_text("utf-8").splitlines() if line.startswith("Exec="))
    done = opened(folder, arguments(line.removeprefix("Exec="), str(entry) if named == "path" else entry.as_uri()))
    assert done.returncode == 0, done.stderr
    assert (folder / "told").read_text("utf-8").splitlines() == [str(folder), "launch.py"]


@posix
@pytest.mark.parametrize("file", [COMMAND, DESKTOP], ids=lambda file: file.name)
def test_they_may_be_run_and_have_the_line_ends_of_their_systems(file):
    assert os.access(file, os.X_OK)
    assert b"\r" not in file.read_bytes()


def test_the_one_for_windows_has_nothing_windows_stumbles_over():
    raw = BAT.read_bytes()
    assert raw.count(b"\r\n") == raw.count(b"\n"), "cmd.exe loses labels in files with other line ends"
    assert raw.isascii(), "a batch file is read in whatever code page the system has"
    lines = raw.decode().splitlines()
    labels = {line[1:] for line in lines if re.fullmatch(r":\w+", line)}
    assert {goto for line in lines for goto in re.findall(r"goto (\w+)", line)} == labels - {"ended"} | {"ended"}
    assert all(re.search(r'"[^"]*%~dp0[^"]*"', line) for line in lines if "%~dp0" in line), "a folder's name may hold spaces"
    runs = [line for line in lines if "launch.py" in line]
    assert len(runs) == 3
    assert all(line.endswith("%*") for line in runs), "what is handed over is handed on"
    assert "setlocal enabledelayedexpansion" not in raw.decode().lower(), "it would eat the exclamation marks of a path"
    opening = [line.count("(") - line.count(")") for line in lines if "FITS=" in line]
    assert opening == [0]


def test_line_ends_survive_a_checkout():
    told = (CHECKOUT / ".gitattributes").read_text("utf-8")
    assert "*.bat text eol=crlf" in told
    assert "*.command text eol=lf" in told


def test_the_test_of_a_python_accepts_this_one():
    for file, mark in ((COMMAND, r"-c '(.+?)'"), (BAT, r'FITS=(.+?)"')):
        code = re.search(mark, file.read_text("utf-8"))
        assert code is not None
        assert subprocess.run([sys.executable, "-c", code[1]], check=False).returncode == 0
        old = code[1].replace("import sys;", "import sys; sys.version_info = (3, 9);")
        assert subprocess.run([sys.executable, "-c", old], check=False).returncode == 1
