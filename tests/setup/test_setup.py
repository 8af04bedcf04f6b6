"""Holds set-up to its promises: the right build, a stamp only on what is whole, and going on from wherever it was cut off.

Real venvs and a real pip install tiny packages made here; only the package index is a folder instead of the internet.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
import threading
import time
import zipfile
from pathlib import Path

import psutil
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from loralab.core.lock import try_lock
from loralab.setup import environment, machine, steps
from loralab.setup.environment import Place, find_whole, halves, make_venv, only_one, read_stamp, stamped
from loralab.setup.installer import Watch
from loralab.setup.machine import Card, parse_card, short_of_space, torch_build
from loralab.setup.progress import Progress, SetupProblem, Terminal, explain
from loralab.setup.steps import ensure

pytestmark = pytest.mark.worker


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


def pins(*files: Path) -> list[Requirement]:
    """What some requirement files ask for."""
    lines = [line.split("#")[0].strip() for file in files for line in file.read_text().splitlines()]
    return [Requirement(line) for line in lines if line]


def applying(found: list[Requirement], **where: str) -> list[str]:
    return sorted(canonicalize_name(pin.name) for pin in found if not pin.marker or pin.marker.evaluate(where))


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13", "3.14"])
def test_every_python_gets_exactly_one_version_of_each_package(python):
    place = Place()
    found = pins(*place.files(["core", "tests"]), place.root / environment.CONSTRAINTS)
    assert all(str(pin.specifier).startswith("==") for pin in found)
    names = applying(found, python_version=python)
    assert names == sorted(set(names))
    assert {"torch", "transformers", "gradio", "pytest"} <= set(names)


@pytest.mark.parametrize(
    ("machine", "there"), [("x86_64", True), ("aarch64", True), ("arm64", True), ("AMD64", True), ("ARM64", False), ("i686", False)]
)
def test_llama_cpp_comes_along_where_there_is_a_build_of_it(machine, there):
    assert ("xllamacpp" in applying(pins(*Place().files(["core"])), platform_machine=machine)) == there


def test_a_package_without_record_counts_as_half_installed(tmp_path):
    for name, whole in (("peft-0.21.2", True), ("sqlite_utils-4.2.1", False)):
        (tmp_path / f"{name}.dist-info").mkdir()
        if whole:
            (tmp_path / f"{name}.dist-info" / "RECORD").write_text("")
    assert [path.name for path in halves(tmp_path)] == ["sqlite_utils-4.2.1.dist-info"]


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
    watch = Watch(progress, 0.0, 1.0, 3, tmp_path)
    watch.read("Downloading plotly-7.1.0-py3-none-any.whl.metadata (8.5 kB)")
    assert (progress.done, progress.fraction) == (0, 0.0)
    watch.read("Downloading plotly-7.1.0-py3-none-any.whl (9.9 MB)")
    assert (progress.done, progress.total, progress.detail) == (1, 3, "plotly (9.9 MB)")
    watch.read("Progress 5000000 of 9900000")
    assert progress.detail == "plotly: 5 of 10 MB"
    fetched = progress.fraction
    assert 0 < fetched < 0.3
    watch.read("Installing collected packages: plotly, narwhals")
    (tmp_path / "narwhals-2.28.0.dist-info").mkdir()
    (tmp_path / "narwhals-2.28.0.dist-info" / "RECORD").write_text("")
    watch.tick()
    assert (progress.title, progress.done, progress.total) == ("Unpacking", 1, 2)
    assert progress.fraction > 0.5


def test_progress_counts_what_uv_reports(tmp_path):
    progress = Progress()
    watch = Watch(progress, 0.0, 1.0, 3, tmp_path)
    for line in ("Using Python 3.12.3 environment at: .venv", "Resolved 40 packages in 1.20s", "Downloading gradio (47.1MiB)"):
        watch.read(line)
    assert (progress.done, progress.total, progress.detail) == (1, 40, "Gradio, which draws the pages (47.1MiB)")
    watch.read("Prepared 40 packages in 3.10s")
    watch.tick()
    assert (progress.title, progress.total) == ("Unpacking", 40)


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
    for name, version in (("torch", "2.13.0"), ("torch", "2.13.0+cpu"), ("tinylab", "1.0"), ("tinylab", "1.1"), ("tinytest", "0.3")):
        _wheel(wheels, name, version)
    (root / "requirements.txt").write_text("torch==2.13.0\ntinylab==1.0\n")
    (root / "tests" / "requirements.txt").write_text("tinytest==0.3\n")
    (root / "loralab" / "setup" / "constraints.txt").write_text("# none\n")
    for name, value in (("PIP_CONFIG_FILE", os.devnull), ("PIP_NO_INDEX", "1"), ("PIP_FIND_LINKS", str(wheels))):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)  # no card
    monkeypatch.setattr(steps, "short_of_space", lambda folder, size: None)  # the packages made here need none
    return Place(root)


def installed(place: Place) -> dict[str, str]:
    """Names and versions of what lies in the venv."""
    return dict(info.name.removesuffix(".dist-info").split("-")[:2] for info in place.site.glob("*.dist-info"))


def _ensure(place: Place, *groups: str) -> tuple[Path, str]:
    progress = Progress()
    with contextlib.redirect_stderr(io.StringIO()) as said:
        return ensure(place, groups or ("core",), progress, Terminal(progress)), said.getvalue()


@pytest.mark.worker
def test_set_up_is_whole_then_silent_then_mends_what_was_broken(place):
    python, said = _ensure(place)
    assert python == place.python
    assert "set up" in said
    assert {"torch": "2.13.0+cpu", "tinylab": "1.0"}.items() <= installed(place).items()
    assert (place.site / "__pycache__").is_dir(), "bytecode is there before the first start"

    began = time.perf_counter()
    assert find_whole(place, ["core"]) == python
    assert time.perf_counter() - began < 0.05
    assert _ensure(place)[1] == "", "a finished set-up says and does nothing"

    (place.root / "requirements.txt").write_text("torch==2.13.0\ntinylab==1.1\n")
    assert not stamped(place, ["core"])
    _ensure(place)
    assert installed(place)["tinylab"] == "1.1"

    next(place.site.glob("tinylab-*.dist-info/RECORD")).unlink()  # as a cut-off installation leaves it
    (place.site / "tinylab.py").unlink()
    place.stamp.unlink()
    _ensure(place, "core", "tests")
    assert (place.site / "tinylab.py").is_file()
    assert {"core", "tests"} <= read_stamp(place).keys()

    place.stamp.unlink()  # a whole environment made by hand is taken as it is
    assert find_whole(place, ["core", "tests"]) == python
    assert stamped(place, ["core", "tests"])


@pytest.mark.worker
@pytest.mark.parametrize("damage", ["no pip", "empty folder", "python gone"])
def test_a_broken_venv_is_mended_or_made_anew(place, damage):
    if damage == "empty folder":
        (place.venv / "lib").mkdir(parents=True)
    else:
        place.runs([sys.executable, "-m", "venv", "--without-pip", place.venv])
    if damage == "python gone":
        place.python.unlink()
        place.python.symlink_to(place.root / "an" / "uninstalled" / "python")
    make_venv(place, Progress())
    assert place.runs([place.python, "-c", "import pip"])


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
def test_a_stopped_set_up_ends_the_installer_and_can_be_done_again(place):
    def stop(self: Terminal) -> None:
        if self.progress.title.startswith("Fetching"):
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Terminal, "show", stop)
        with pytest.raises(KeyboardInterrupt):
            _ensure(place)
    assert read_stamp(place) == {}
    living = [child for child in psutil.Process().children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE]
    assert [child for child in living if "pip" in child.cmdline()] == []
    assert _ensure(place)[0] == place.python


def test_a_second_set_up_waits_for_the_first(place, capsys):
    progress = Progress()
    with only_one(place, Progress(), Terminal(Progress())):
        waiting = threading.Thread(target=lambda: only_one(place, progress, Terminal(progress)).__enter__(), daemon=True)
        waiting.start()
        time.sleep(0.3)
        assert waiting.is_alive()
        assert progress.detail == "another window is setting LoRALab up"
    waiting.join(5)
    assert not waiting.is_alive()


def test_a_lock_is_given_back_when_its_file_is_closed(tmp_path):
    with (tmp_path / "lock").open("a+b") as one, (tmp_path / "lock").open("a+b") as two:
        assert try_lock(one.fileno())
        assert not try_lock(two.fileno())
        one.close()
        assert try_lock(two.fileno())


@pytest.mark.worker
def test_a_running_python_that_has_everything_is_used_as_it_is(place, monkeypatch):
    assert find_whole(place, ["core"]) is None
    (place.root / "requirements.txt").write_text(f"pytest=={pytest.__version__}\nnothing==1; sys_platform == 'nowhere'\n")
    assert find_whole(place, ["core"]) == Path(sys.executable)
    assert not place.venv.exists()


UV = """#!{python}
import subprocess, sys
open({log!r}, "a").write(" ".join(sys.argv[1:]) + "\\n")
arguments = [a for a in sys.argv[1:] if a != "--compile-bytecode"]
sys.exit(2 if {broken} else subprocess.call([arguments[3], "-m", "pip", "install", *arguments[4:]]))
"""


@pytest.mark.worker
@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a script")
@pytest.mark.parametrize("broken", [False, True])
def test_uv_is_used_where_it_is_and_pip_where_it_cannot(place, tmp_path, monkeypatch, broken):
    uv, log = tmp_path / "uv", tmp_path / "asked"
    uv.write_text(UV.format(python=sys.executable, log=str(log), broken=broken))
    uv.chmod(0o755)
    monkeypatch.setattr(machine.shutil, "which", lambda name: str(uv) if name == "uv" else None)
    assert _ensure(place)[0] == place.python
    assert stamped(place, ["core"])
    asked = log.read_text().splitlines()
    assert asked[0].startswith(f"pip install --python {place.python} --compile-bytecode --no-deps --extra-index-url")
    assert len(asked) == (1 if broken else 2), "what failed once is not asked again"


def test_a_stamp_that_cannot_be_read_counts_as_none(place):
    place.venv.mkdir()
    place.stamp.write_text('{"core": ')
    assert read_stamp(place) == {}
    place.stamp.write_text(json.dumps(["core"]))
    assert not stamped(place, ["core"])
    shutil.rmtree(place.venv)
