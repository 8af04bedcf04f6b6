"""Owns the order in which a set-up is done. Invariant: every step can be cut off and done again; what is there is not fetched twice."""

from __future__ import annotations

import contextlib
import platform
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from loralab.setup.environment import CONSTRAINTS, Place, find_whole, halves, is_whole, make_venv, only_one, write_stamp
from loralab.setup.installer import Installer
from loralab.setup.machine import find_card, short_of_space, torch_build, wrong_python
from loralab.setup.progress import Progress, SetupProblem, Terminal, explain

PIP = "pip==26.3"  # counts its downloads, resumes them, and knows the system's certificates
# Shares of a whole set-up: what is fetched, at a home line's 5 MB/s, and the measured unpacking on two cores.
_PIP, _TORCH, _REST, _PARTS = (0.02, 0.04), (0.04, 0.34), (0.34, 0.81), (0.81, 0.93)  # then the first model


def ensure(place: Place, groups: Sequence[str], progress: Progress, terminal: Terminal) -> Path:
    """A Python with everything the groups ask for, installing what is missing. Raises SetupProblem with the one sentence to show."""
    if python := find_whole(place, groups):
        return python
    if words := wrong_python():
        raise SetupProblem(words)
    try:
        with only_one(place, progress, terminal):
            return find_whole(place, groups) or _install(place, groups, progress, terminal)
    except OSError as error:
        raise SetupProblem(explain(str(error), place.log)) from error


def _install(place: Place, groups: Sequence[str], progress: Progress, terminal: Terminal) -> Path:
    terminal.say("Setting LoRALab up. This happens once; you can stop it and go on later.")
    place.log.write_text(f"LoRALab set-up, {time.strftime('%Y-%m-%d %H:%M:%S')}, {platform.platform()}\n", encoding="utf-8")
    card, fresh = find_card(), not (place.site / "torch").exists()
    build = torch_build(platform.system(), card)
    place.keep.mkdir(parents=True, exist_ok=True)
    if words := short_of_space(place.keep, build.gibibytes if fresh else 0.5):
        raise SetupProblem(words)
    make_venv(place, progress)
    for half in halves(place.site):  # or they would pass for installed
        shutil.rmtree(half)
    installer = Installer(place, progress, terminal)
    if not installer.uv:
        progress.begin("Fetching a newer installer")  # the one that came with Python does as well, without counting
        with contextlib.suppress(SetupProblem):
            installer.insist(_PIP, 1, [PIP], ["--retries", "1", "--timeout", "15"])
    files, held = place.needed(groups), [place.root / CONSTRAINTS, *place.files(["core"])]
    pins = "\n".join(file.read_text(encoding="utf-8") for file in (*files, held[0]))
    progress.begin(f"Fetching PyTorch {build.words}")
    index = ["--extra-index-url", build.index] if build.index else []  # out of reach, the usual one has the same version
    torch = re.findall(r"(?m)^torch==[^\s;]+", pins)
    installer.insist(_TORCH, 1, ["--no-deps", *index, *torch], ["--retries", "2", "--timeout", "20"])
    progress.begin("Fetching the packages")
    holding = [f"--constraint={file}" for file in held]
    installer.insist(_REST, len(re.findall("(?m)^[a-zA-Z]", pins)), [*(f"--requirement={file}" for file in files), *holding])
    if not is_whole(place, place.python, groups, [place.site]):
        raise SetupProblem(f"Something was not installed whole: start again, and if it stays so the details are in {place.log}.")
    if "core" in groups:
        _add_parts(place, installer, holding, terminal)
    progress.begin("Getting ready for fast starts")
    rooms = [place.root / name for name in ("loralab", "advisor", "ui") if (place.root / name).is_dir()]
    place.runs([place.python, "-m", "compileall", "-q", *rooms])  # the installer did the same for its packages
    write_stamp(place, groups)
    progress.fraction = 0.94
    terminal.say("LoRALab is set up.")
    return place.python


def _add_parts(place: Place, installer: Installer, holding: Sequence[str], terminal: Terminal) -> None:
    """What proves exports and saves memory: all at once, or one by one where one of them cannot be had. None of them can stop a start."""
    parts = {part["title"]: part["packages"] for part in place.parts() if not part.get("on_request")}
    every = [name for packages in parts.values() for name in packages]
    if every and _part(place, installer, holding, every, _PARTS):
        return
    step = (_PARTS[1] - _PARTS[0]) / max(1, len(parts))
    for number, (title, packages) in enumerate(parts.items()):
        share = (_PARTS[0] + number * step, _PARTS[0] + (number + 1) * step)
        if not _part(place, installer, holding, packages, share):
            terminal.say(f"{title} is left out: it could not be fetched here. All else works, and it can be added in LoRALab later.")


def _part(place: Place, installer: Installer, holding: Sequence[str], packages: Sequence[str], share: tuple[float, float]) -> bool:
    """Install packages the app works without; whether it could be done."""
    asked = place.log.with_name("parts.txt")
    asked.write_text(place.lines(packages, *place.files(["core"])), encoding="utf-8")
    try:
        installer.insist(share, len(packages), [f"--requirement={asked}", "--only-binary=:all:", *holding])
    except SetupProblem:
        return False
    return True
