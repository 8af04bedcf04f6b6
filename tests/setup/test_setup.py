"""Holds set-up to its promises: the right build, a stamp only on what is whole, and going on from wherever it was cut off.

Real venvs and a real pip install tiny packages made here; only the package index is a folder instead of the internet.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import time
import zipfile
from pathlib import Path

import pytest

from loralab.setup import environment, machine, steps
from loralab.setup.environment import Place, find_whole, make_venv, only_one, read_stamp, running_is_whole, stamped
from loralab.setup.installer import PipWatch, Share
from loralab.setup.machine import Card, parse_card, short_of_space, torch_build
from loralab.setup.pins import Pin, drop_halves, installed, missing, read_pins
from loralab.setup.problem import Interrupted, SetupProblem, explain
from loralab.setup.progress import Progress, Terminal
from loralab.setup.steps import ensure


@pytest.mark.parametrize(
    ("system", "card", "name", "index"),
    [
        ("Linux", None, "cpu", "cpu"),
        ("Windows", None, "cpu", "cpu"),
        ("Darwin", None, "default", None),
        ("Linux", Card(580, 9.0), "default", None),
        ("Windows", Card(581, 8.9), "cu130", "cu130"),
        ("Linux", Card(580, 6.1), "cu126", "cu126"),
        ("Windows", Card(552, 8.6), "cu126", "cu126"),
        ("Linux", Card(470, 7.5), "cpu", "cpu"),
    ],
)
def test_each_machine_gets_the_torch_build_that_runs_on_it(system, card, name, index):
    build = torch_build(system, card)
    assert (build.name, build.index) == (name, index and machine.TORCH_INDEX + index)


def test_a_card_is_read_from_what_its_driver_says():
    assert parse_card("580.65.06, 9.0\n580.65.06, 9.0\n") == Card(580, 9.0)
    assert parse_card("Failed to initialize NVML: Driver/library version mismatch") is None


@pytest.mark.parametrize("python", [(3, 10), (3, 11), (3, 12), (3, 13), (3, 14)])
def test_every_python_gets_exactly_one_version_of_each_package(python):
    place = Place()
    names = [pin.name for group in environment.GROUPS for pin in read_pins(place.file(group), python)]
    names += [pin.name for pin in read_pins(place.root / environment.CONSTRAINTS, python)]
    assert sorted(names) == sorted(set(names))
    assert {"torch", "transformers", "gradio", "pytest"} <= set(names)


def test_a_requirement_that_is_not_exact_is_refused(tmp_path):
    (tmp_path / "requirements.txt").write_text("gradio>=6\n")
    with pytest.raises(ValueError, match="name==version"):
        read_pins(tmp_path / "requirements.txt", (3, 12))


def test_a_package_without_record_is_not_installed_and_is_cleared(tmp_path):
    for name, whole in (("peft-0.21.2", True), ("torch-2.13.0+cpu", True), ("sqlite_utils-4.2.1", False)):
        folder = tmp_path / f"{name}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text("Name: x")
        if whole:
            (folder / "RECORD").write_text("")
    wanted = [Pin("peft", "0.21.2"), Pin("torch", "2.13.0"), Pin("sqlite-utils", "4.2.1"), Pin("trl", "1.16.0")]
    assert [pin.name for pin in missing(wanted, installed([tmp_path]))] == ["sqlite-utils", "trl"]
    assert missing([Pin("peft", "0.21.3")], installed([tmp_path]))
    assert drop_halves(tmp_path) == ["sqlite_utils-4.2.1"]
    assert sorted(path.name for path in tmp_path.glob("*.dist-info")) == ["peft-0.21.2.dist-info", "torch-2.13.0+cpu.dist-info"]


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        (
            "WARNING: Retrying ... NameResolutionError(\"Failed to resolve 'x'\")\nERROR: No matching distribution found for torch==2.13.0",
            "internet",
        ),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk"),
        ("pip._vendor.urllib3.exceptions.ReadTimeoutError: HTTPSConnectionPool: Read timed out.", "goes on where it stopped"),
        ("ERROR: Could not find a version that satisfies the requirement torch==2.13.0 (from versions: none)", "connect this computer"),
        ("ERROR: Could not find a version that satisfies the requirement torch==2.13.0 (from versions: 2.9.0)", "no build for this Python"),
        ("ERROR: Could not install packages due to an OSError: [WinError 5] Access is denied: 'x.pyd'", "may not be written"),
        ("ERROR: something never seen", "something never seen"),
    ],
)
def test_each_failure_is_one_sentence_with_the_next_step(output, sentence):
    words = explain(output, Path("launch.log"))
    assert sentence in words
    assert "\n" not in words


def test_too_little_disk_is_said_before_anything_is_fetched(tmp_path):
    assert short_of_space(tmp_path, 0.0) is None
    assert "free some space" in (short_of_space(tmp_path, 10**6) or "")


def test_progress_counts_what_pip_reports(tmp_path):
    progress = Progress()
    watch = PipWatch(progress, Share(0.0, 1.0), 3, tmp_path)
    watch.read("Collecting plotly==7.1.0 (from -r requirements.txt (line 38))")
    watch.read("Downloading plotly-7.1.0-py3-none-any.whl.metadata (8.5 kB)")
    assert (progress.done, progress.fraction) == (0, 0.0)
    watch.read("Downloading plotly-7.1.0-py3-none-any.whl (9.9 MB)")
    watch.read("Progress 5000000 of 9900000")
    assert progress.detail == "plotly, which draws the curves: 5 of 10 MB"
    assert (progress.done, progress.total) == (1, 3)
    watch.read("Installing collected packages: plotly, narwhals")
    (tmp_path / "narwhals-2.28.0.dist-info").mkdir()
    (tmp_path / "narwhals-2.28.0.dist-info" / "RECORD").write_text("")
    before = progress.fraction
    watch.tick()
    assert (progress.done, progress.total) == (1, 2)
    assert progress.fraction > before


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ([0], ["--no-index"]),  # a wheel folder has it
        (["none", 0], ["--no-index", "--index-url"]),  # the usual way
        (["none", "none", 0], ["--no-index", "--index-url", "own"]),  # its index is out of reach
        (["none", "Read timed out."], ["--no-index", "--index-url"]),  # broken off: gigabytes of another build would not help
    ],
)
def test_the_processor_build_is_looked_for_nearest_first(monkeypatch, answers, asked):
    left, seen = list(answers), []

    def pip(place, step, expected, arguments, show):
        seen.append(next((name for name in ("--no-index", "--index-url") if name in arguments), "own"))
        said = left.pop(0)
        return (0, "") if said == 0 else (1, f"ERROR: No matching distribution (from versions: {said})" if said == "none" else said)

    monkeypatch.setattr(steps, "_pip", pip)
    progress = Progress()
    choice = (Place(), Pin("torch", "2.13.0"), torch_build("Linux", None), progress, Terminal(progress, io.StringIO()))
    if answers[-1] == 0:
        steps._install_torch(*choice)
    else:
        with pytest.raises(SetupProblem, match="goes on where it stopped"):
            steps._install_torch(*choice)
    assert seen == asked
    assert bool(progress.notes) == (asked[-1] == "own")


def _wheel(folder: Path, name: str, version: str) -> None:
    """A package of one module, the way an index would serve it."""
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", f"version = {version!r}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


@pytest.fixture
def place(tmp_path, monkeypatch) -> Place:
    """A small project: two packages and a folder of wheels in place of the internet."""
    wheels, root = tmp_path / "wheels", tmp_path / "project"
    for folder in (wheels, root / "tests", root / "loralab" / "setup"):
        folder.mkdir(parents=True)
    for name, version in (("torch", "2.13.0+cpu"), ("tinylab", "1.0"), ("tinylab", "1.1"), ("tinytest", "0.3")):
        _wheel(wheels, name, version)
    (root / "requirements.txt").write_text("torch==2.13.0\ntinylab==1.0\n")
    (root / "tests" / "requirements.txt").write_text("tinytest==0.3\n")
    (root / "loralab" / "setup" / "constraints.txt").write_text("# none\n")
    for name, value in (("PIP_CONFIG_FILE", os.devnull), ("PIP_NO_INDEX", "1"), ("PIP_FIND_LINKS", str(wheels))):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)  # no card
    monkeypatch.setattr(steps, "short_of_space", lambda folder, size: None)  # the packages made here need none
    return Place(root)


def _ensure(place: Place, *groups: str) -> tuple[Path, str]:
    progress, said = Progress(), io.StringIO()
    return ensure(place, groups or ("core",), progress, Terminal(progress, said)), said.getvalue()


@pytest.mark.worker
def test_set_up_is_whole_then_silent_then_mends_what_was_broken(place):
    python, said = _ensure(place)
    assert python == place.python
    assert "set up" in said
    assert {"torch": "2.13.0+cpu", "tinylab": "1.0"}.items() <= installed([place.site]).items()
    assert (place.site / "__pycache__").is_dir(), "bytecode is there before the first start"

    began = time.perf_counter()
    assert find_whole(place, ["core"]) == python
    assert time.perf_counter() - began < 0.05
    assert _ensure(place)[1] == "", "a finished set-up says and does nothing"

    (place.root / "requirements.txt").write_text("torch==2.13.0\ntinylab==1.1\n")
    assert not stamped(place, ["core"])
    _ensure(place)
    assert installed([place.site])["tinylab"] == "1.1"

    next(place.site.glob("tinylab-*.dist-info/RECORD")).unlink()  # as a cut-off installation leaves it
    (place.site / "tinylab.py").unlink()
    place.stamp.unlink()
    _ensure(place, "core", "tests")
    assert (place.site / "tinylab.py").is_file()
    assert {"core", "tests", "torch"} <= read_stamp(place).keys()

    place.stamp.unlink()  # a whole environment made by hand is taken as it is
    log = place.log.read_text()
    assert find_whole(place, ["core", "tests"]) == python
    assert place.log.read_text() == log
    assert stamped(place, ["core", "tests"])


@pytest.mark.worker
@pytest.mark.parametrize("damage", ["no pip", "empty folder", "python gone"])
def test_a_broken_venv_is_mended_or_made_anew(place, damage):
    if damage == "empty folder":
        (place.venv / "lib").mkdir(parents=True)
    else:
        environment._run_python(place, [sys.executable, "-m", "venv", "--without-pip", str(place.venv)])
    if damage == "python gone":
        place.python.unlink()
        place.python.symlink_to(place.root / "an" / "uninstalled" / "python")
    make_venv(place, Progress())
    assert environment._runs(place, "import pip")


def test_without_the_venv_part_of_python_it_says_what_to_install(place, monkeypatch):
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SetupProblem, match="venv"):
        make_venv(place, Progress())


@pytest.mark.worker
def test_without_a_network_it_says_so_and_leaves_no_stamp(place, monkeypatch):
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # the discard port: refused at once
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setattr(steps, "torch_build", lambda system, card: torch_build("Darwin", None))
    with pytest.raises(SetupProblem, match="internet could not be reached"):
        _ensure(place)
    assert not stamped(place, ["core"])


@pytest.mark.worker
def test_a_stopped_set_up_ends_pip_and_can_be_done_again(place):
    progress = Progress()
    progress.cancelled.set()
    with pytest.raises(Interrupted, match="goes on where it stopped"):
        ensure(place, ["core"], progress, Terminal(progress, io.StringIO()))
    assert read_stamp(place) == {}
    assert _ensure(place)[0] == place.python


def test_a_second_set_up_waits_for_the_first(place):
    progress = Progress()
    progress.cancelled.set()
    with only_one(place, Progress(), Terminal(Progress(), io.StringIO())):
        waiting = only_one(place, progress, Terminal(progress, io.StringIO()))
        with pytest.raises(Interrupted):
            waiting.__enter__()
    assert progress.detail == "another window is setting LoRALab up"


def test_a_running_python_that_has_everything_is_used_as_it_is(place, tmp_path, monkeypatch):
    site = tmp_path / "elsewhere" / "site-packages"
    site.mkdir(parents=True)
    monkeypatch.setattr(environment.sys, "path", [str(site)])
    assert not running_is_whole(place, ["core"])
    for name in ("torch-2.13.0+cu130", "tinylab-1.0"):
        (site / f"{name}.dist-info").mkdir()
        (site / f"{name}.dist-info" / "RECORD").write_text("")
    assert find_whole(place, ["core"]) == Path(sys.executable)
    assert not place.venv.exists()


def test_a_stamp_that_cannot_be_read_counts_as_none(place):
    place.venv.mkdir()
    place.stamp.write_text('{"core": ')
    assert read_stamp(place) == {}
    place.stamp.write_text(json.dumps(["core"]))
    assert not stamped(place, ["core"])
    shutil.rmtree(place.venv)
