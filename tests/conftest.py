"""Owns what tests share. Invariant: no test touches the real workspace or the network, and none leaves a worker behind."""

from __future__ import annotations

import os

# Before anything loads torch: tiny models are fastest on one thread, and two that wait for each other by spinning double every time.
for _name, _value in {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}.items():
    os.environ.setdefault(_name, _value)
os.environ["HF_HUB_OFFLINE"] = "1"

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from loralab.core.errors import UserError
from loralab.core.events import Ended, RunView, Started, read
from loralab.core.jobs import TrainJob
from loralab.core.paths import CHECKOUT
from loralab.lab import Lab
from loralab.runs import process, runs, watch
from tests.support import gguf_models, models, tiers, tiny
from tests.support.learned import Learned, train_once

PATIENCE = 60.0  # seconds: generous, because the machine may be busy; a test that waits that long has failed


def pytest_addoption(parser: pytest.Parser) -> None:
    tiers.add_option(parser)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return tiers.left_out(collection_path, config)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    tiers.keep(config, items)


@pytest.fixture(scope="session")
def _nowhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the tests that ask for no workspace would find as theirs: a folder that is not there."""
    folder = tmp_path_factory.getbasetemp() / "no workspace was asked for"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LORALAB_HOME", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def _only_where_asked(_nowhere: Path) -> Iterator[None]:
    """A test that writes to a workspace asks for `home`."""
    yield
    if _nowhere.exists():
        shutil.rmtree(_nowhere)
        pytest.fail("This test writes to a workspace: it has to ask for `home`.")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A workspace of this test's own; workers still alive in it are ended afterwards."""
    folder = tmp_path / "LoRALab"
    folder.mkdir()
    monkeypatch.setenv("LORALAB_HOME", str(folder))
    yield folder
    while going := _going(folder):  # those that wait first, or each stop would start the next
        with contextlib.suppress(UserError):  # it ended by itself in between
            runs.stop(folder, going[0], force=True)


def _going(folder: Path) -> list[str]:
    """Runs of a workspace that have not ended, the waiting ones first."""
    views = [runs.view(folder, run) for run in (runs.list_runs(folder) if (folder / "runs").is_dir() else ())]
    return [view.run for view in sorted(views, key=lambda view: not view.queued) if view.active]


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama on disk, for tests that read it only."""
    return models.model_folder(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty uneven examples, for tests that read them only."""
    return models.uneven_file(tmp_path_factory.mktemp("data") / "uneven.jsonl")


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For reading only: a base, another with fewer layers, a wider one, and one of another family."""
    place = tmp_path_factory.mktemp("bases")
    return {
        "base": gguf_models.model_folder(place / "base"),
        "shallow": gguf_models.model_folder(place / "shallow", num_hidden_layers=1),
        "wide": gguf_models.model_folder(place / "wide", hidden_size=128),
        "gpt2": gguf_models.model_folder(place / "gpt2", "gpt2"),
    }


@pytest.fixture(scope="session")
def plain(bases: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain adapter of that base, for reading only."""
    return gguf_models.adapter_folder(tmp_path_factory.mktemp("plain") / "adapter", bases["base"])


@pytest.fixture(scope="session")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Learned:
    """A finished, judged run of a real worker, for tests that read it only; `learned.copy(home)` may be changed."""
    ours = tmp_path_factory.getbasetemp()
    return train_once(ours.parent if "PYTEST_XDIST_WORKER" in os.environ else ours)


@pytest.fixture
def short_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings in this process write few and short answers for their verdict, which is tested elsewhere and takes longer than they do."""
    from loralab.evaluations.shared import answers
    from loralab.sessions import text

    monkeypatch.setattr(answers, "LONGEST", 4)
    monkeypatch.setattr(text, "MOST_ANSWERS", 3)


@pytest.fixture
def no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings in this process are not judged at their end."""
    from loralab.train import loop

    monkeypatch.setattr(loop, "_judge", lambda run: None)


@pytest.fixture
def lab(home: Path) -> Lab:
    return Lab(home)


@pytest.fixture
def fake(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Starts a run of the fake task in a real worker: `fake(max_steps=5)` -> run id."""
    monkeypatch.setenv("LORALAB_PLUGINS", "loralab.tasks:tests.support.fake_task")

    def start(**settings: Any) -> str:
        return runs.start(home, TrainJob(plan={"task": "fake", **settings}))

    return start


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of 6 MB. Only root may mount one; the faults injected in test_checkpoint.py run everywhere."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    if mount is None or sys.platform != "linux" or subprocess.call([mount, "-t", "tmpfs", "-o", "size=6m", "tmpfs", place]) != 0:
        pytest.skip("a disk can be mounted by root on Linux only")
    yield place
    subprocess.check_call(["umount", "-l", str(place)])


def fill(place: Path) -> Path:
    """Take all the room there is."""
    block = bytes(4096)
    ballast = place / "ballast"
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(block):
            pass
    return ballast


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("chat")
    base = tiny.model_folder(root / "base")
    return base, tiny.adapter_folder(root / "adapter", base)


@pytest.fixture(scope="module")
def adapted(folders: tuple[Path, Path]) -> tuple[Any, Any]:
    from peft import PeftModel

    from loralab.models.tokenize import TextEncoder
    from loralab.runtimes.base_model import load_base

    return PeftModel.from_pretrained(load_base(folders[0], "fp32"), str(folders[1])).eval(), TextEncoder(folders[0])


def until(true: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """Wait until `true()` is, and return it; fails after `seconds`."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        found = true()
        if found:
            return found
        time.sleep(0.02)
    pytest.fail(f"did not become true within {seconds:.0f} s")


def ended(home: Path, run: str) -> RunView:
    """The view of a run once it has ended."""
    until(lambda: not runs.view(home, run).active)
    return runs.view(home, run)


def ending(home: Path, run: str) -> Ended:
    """The last words of a run once it has ended."""
    words = ended(home, run).ending
    assert words is not None
    return words


def endings(home: Path, run: str) -> list[Ended]:
    """Every ending in a run's log."""
    return [event for event in read(home / "runs" / run / "events.jsonl")[0] if isinstance(event, Ended)]


def worker_of(home: Path, run: str) -> process.WorkerProcess:
    """What worker.json of a run says: its keeper."""
    return process.WorkerProcess.model_validate_json((home / "runs" / run / "worker.json").read_bytes())


def worker_pid(home: Path, run: str) -> int:
    """Process id of the worker that wrote to a run's log last."""
    return next(e.pid for e in reversed(read(home / "runs" / run / "events.jsonl")[0]) if isinstance(e, Started))


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has reaped yet has."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def forget(home: Path, run: str) -> None:
    """As after a restart of the app: nothing in memory, no child of ours."""
    watch.DESK.forget(home / "runs" / run)


def python(code: str, *arguments: object, stdin: bool = False) -> subprocess.Popen[str]:
    """Another process, as a second app: runs `code` in the checkout."""
    given = subprocess.PIPE if stdin else None
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=CHECKOUT, stdin=given, stdout=subprocess.PIPE, text=True
    )


def first_line(process: subprocess.Popen[str]) -> str:
    """What a process says first."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.fixture(scope="session")
def _reader() -> Iterator[Any]:
    """A child process with transformers in it, started when it is first asked for and ended with the tests."""
    from loralab.runtimes.llama.parent import Child

    started: list[Child] = []

    def child(name: str) -> Any:
        if not started:
            started.append(Child(name))
        return SimpleNamespace(version=started[0].version, ask=started[0].ask, close=lambda: None)

    yield child
    for reader in started:
        reader.close()


@pytest.fixture
def one_process(_reader: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports are read back and adapters tried in one kept process, not in fresh ones: starting it takes longer than all it is asked."""
    from loralab.adapters import fitting
    from loralab.runtimes.llama import parent

    monkeypatch.setattr(fitting, "Child", lambda *_, **__: _reader("transformers"))
    real = parent.Child
    monkeypatch.setattr(parent, "Child", lambda name="": _reader(name) if name == "transformers" else real(name))
