"""Owns the order in which a set-up is done. Invariant: every step can be cut off and done again; what is there is not fetched twice."""

from __future__ import annotations

import platform
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from loralab.setup.environment import CONSTRAINTS, Place, find_whole, make_venv, note_start, only_one, wanted, write_stamp
from loralab.setup.installer import PipWatch, Share, run_pip
from loralab.setup.machine import OPTIONAL_CUDA, TorchBuild, find_card, short_of_space, torch_build, wrong_python
from loralab.setup.pins import Pin, drop_halves, installed, missing, read_pins
from loralab.setup.problem import SetupProblem, explain
from loralab.setup.progress import Progress, Terminal

PIP = "pip==26.3"  # counts its downloads, resumes them, and knows the system's certificates
# Shares of a whole set-up: what is fetched, at a home line's 5 MB/s, and the measured unpacking on two cores.
_SHARES = {
    "pip": Share(0.02, 0.04),
    "torch": Share(0.04, 0.36),
    "core": Share(0.36, 0.92),
    "tests": Share(0.92, 0.97),
    "optional": Share(0.97, 0.98),
}
# What pip says when an index cannot be reached or has no such build, unlike when a download breaks off.
_REFUSED = r"No matching distribution|Could not find a version|NewConnection|NameResolution|ConnectTimeout|Failed to establish|getaddrinfo"


def ensure(place: Place, groups: Sequence[str], progress: Progress, terminal: Terminal) -> Path:
    """A Python with everything the groups ask for, installing what is missing. Raises SetupProblem with the one sentence to show."""
    if python := find_whole(place, groups):
        return python
    if words := wrong_python():
        raise SetupProblem(words)
    try:
        note_start(place)
        with only_one(place, progress, terminal):
            return find_whole(place, groups) or _install(place, groups, progress, terminal)
    except OSError as error:
        raise SetupProblem(explain(str(error), place.log)) from error


def _install(place: Place, groups: Sequence[str], progress: Progress, terminal: Terminal) -> Path:
    terminal.say("Setting LoRALab up. This happens once; you can stop it and go on later.")
    card = find_card()
    build = torch_build(platform.system(), card)
    absent = {pin.name for pin in missing(wanted(place, groups, place.version()), installed([place.site]))}
    if words := short_of_space(place.root, build.gibibytes if "torch" in absent else 0.5):
        raise SetupProblem(words)
    make_venv(place, progress)
    drop_halves(place.site)
    terminal.show()
    _newer_pip(place, progress, terminal)
    found = installed([place.site])
    if torch := [pin for pin in missing(wanted(place, ["core"], place.version()), found) if pin.name == "torch"]:
        _install_torch(place, torch[0], build, progress, terminal)
    for group in groups:
        _install_group(place, group, progress, terminal)
    if card is not None and build.name != "cpu" and "torch" in absent:
        _try_optional(place, progress, terminal)
    progress.begin("Getting ready for fast starts")
    terminal.show()
    _compile(place)
    write_stamp(place, groups, build.name)
    progress.fraction = 1.0
    terminal.say("LoRALab is set up.")
    return place.python


def _pip(place: Place, step: str, expected: int, arguments: Sequence[str], show: tuple[Progress, Terminal]) -> tuple[int, str]:
    progress, terminal = show
    return run_pip(place.python, arguments, PipWatch(progress, _SHARES[step], expected, place.site), terminal, place.log)


def _held(place: Place) -> list[str]:
    """Arguments that keep every package, torch first of all, at its pinned version."""
    return ["--constraint", str(place.root / CONSTRAINTS), "--constraint", str(place.file("core"))]


def _newer_pip(place: Place, progress: Progress, terminal: Terminal) -> None:
    """Fetch the newer installer; the one that came with Python does as well, without counting."""
    name, version = PIP.split("==")
    if missing([Pin(name, version)], installed([place.site])):
        progress.begin("Fetching a newer installer")
        _pip(place, "pip", 1, ["--retries", "1", "--timeout", "15", PIP], (progress, terminal))


def _install_torch(place: Place, pin: Pin, build: TorchBuild, progress: Progress, terminal: Terminal) -> None:
    """PyTorch alone and first, from the index that has the build for this machine.

    Its index may be out of reach where pip's own is not (a mirror, a wheel folder): then pip's own is asked for the same version.
    """
    progress.begin(f"Fetching PyTorch {build.words}")
    terminal.show()
    target = f"{pin.name}=={pin.version}"
    show = (progress, terminal)
    code, said = 1, ""
    if build.name == "cpu":  # a wheel folder may be named in pip's own settings
        code, said = _pip(place, "torch", 1, ["--no-deps", "--no-index", target], show)
    if code and build.index:
        code, said = _pip(place, "torch", 1, ["--no-deps", "--retries", "1", "--timeout", "20", "--index-url", build.index, target], show)
        if code and not re.search(_REFUSED, said):
            raise SetupProblem(explain(said, place.log))
        if code:
            progress.notes.append("PyTorch's own index could not be reached; trying pip's usual one.")
    if code:
        code, said = _pip(place, "torch", 1, ["--no-deps", target], show)
    if code:
        raise SetupProblem(explain(said, place.log))


def _install_group(place: Place, group: str, progress: Progress, terminal: Terminal) -> None:
    version = place.version()
    found = installed([place.site])
    if not missing(wanted(place, [group], version), found):
        return
    progress.begin("Fetching the packages" if group == "core" else "Fetching what the tests need")
    terminal.show()
    expected = len(missing(wanted(place, [group], version), found))
    if group == "core":
        expected += len(missing(read_pins(place.root / CONSTRAINTS, version), found))
    code, said = _pip(place, group, expected, ["--requirement", str(place.file(group)), *_held(place)], (progress, terminal))
    if code:
        raise SetupProblem(explain(said, place.log))
    if left := missing(wanted(place, [group], version), installed([place.site])):
        raise SetupProblem(f"{left[0].name} was not installed whole: start again, and if it stays so the details are in {place.log}.")


def _try_optional(place: Place, progress: Progress, terminal: Terminal) -> None:
    """4-bit bases need one more package; without it everything else works."""
    code, _ = _pip(place, "optional", 1, [OPTIONAL_CUDA, *_held(place)], (progress, terminal))
    if code:
        progress.notes.append("4-bit models (nf4) are left out: bitsandbytes could not be installed here. All else works.")


def _compile(place: Place) -> None:
    """Translate our own modules once; pip did the same for its packages."""
    rooms = [str(place.root / name) for name in ("loralab", "advisor", "ui") if (place.root / name).is_dir()]
    subprocess.run([str(place.python), "-m", "compileall", "-q", *rooms], capture_output=True, check=False)
