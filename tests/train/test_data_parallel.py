"""Several processes that learn together come to what one comes to; where one of them is gone, all end with words, and it goes on."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file

from loralab.core.errors import UserError
from loralab.core.events import Noted, RunView, Stepped, read
from loralab.core.jobs import TrainJob
from loralab.runs import launch as launching
from loralab.runs import process_group, runs
from loralab.runs.run_folder import SilentFolder
from loralab.sessions.text import TextSession
from loralab.train import data_parallel
from tests.conftest import first_line, gone, python, until
from tests.support import models

LONG = 240.0  # seconds: two workers and a launcher begin at once
SETTINGS: dict[str, Any] = {"max_steps": 12, "eval_every": 6, "checkpoint_minutes": 0.001}


def launch(processes: int) -> str:
    return f"distributed_type: MULTI_CPU\nuse_cpu: true\nnum_processes: {processes}\n"


def start(home: Path, base: Path, data: Path, processes: int, **settings: Any) -> str:
    """A run of a real worker, judged by its loss alone."""
    chosen = models.plan(data, **SETTINGS | settings)
    job = TrainJob(plan=chosen.model_dump(), model=str(base), measures=("loss",))
    return runs.start(home, job, launch(processes) if processes > 1 else "")


def adapter(home: Path, run: str) -> dict[str, torch.Tensor]:
    return load_file(home / "runs" / run / "artifacts" / "adapter" / "adapter_model.safetensors")


def apart(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def steps(home: Path, run: str) -> list[Stepped]:
    return [event for event in read(home / "runs" / run / "events.jsonl")[0] if isinstance(event, Stepped)]


def over(home: Path, run: str) -> RunView:
    """The view of a run once it has ended."""
    until(lambda: not runs.view(home, run).active, LONG)
    return runs.view(home, run)


def processes_of(home: Path, run: str) -> dict[int, psutil.Process]:
    """The living workers of a run, by their number."""
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if "loralab.runs.worker" in process.cmdline() and str(home / "runs" / run) in process.cmdline():
                found[int(process.environ().get("RANK", "0"))] = process
    return found


@pytest.mark.nightly
@pytest.mark.worker
def test_two_processes_come_to_what_one_comes_to_also_where_one_was_killed_in_between(home: Path, llama: Path, data: Path) -> None:
    """The same order, the same updates, the same adapter; a follower that is killed costs words and a resume in three processes."""
    alone = start(home, llama, data, 1)
    assert over(home, alone).state == "finished"
    both = start(home, llama, data, 2)
    until(lambda: len(steps(home, both)) >= 3, LONG)
    first = processes_of(home, both)
    assert sorted(first) == [0, 1]
    os.kill(first[1].pid, 9)
    ending = over(home, both).ending
    assert ending is not None
    assert (ending.outcome, ending.code) == ("failed", process_group.LOST)
    assert "One of the 2 processes" in ending.what
    assert "Resume" in ending.todo
    until(lambda: all(gone(process.pid) for process in first.values()))
    runs.resume(home, both, launch(3))
    assert over(home, both).state == "finished", runs.log_tail(home, both)
    assert apart(adapter(home, alone), adapter(home, both)) <= 1e-5
    assert max(float(tensor.abs().max()) for tensor in adapter(home, alone).values()) > 0.01, "it learned something"
    notes = [event.text for event in read(home / "runs" / both / "events.jsonl")[0] if isinstance(event, Noted)]
    assert any("Learning in 2 processes" in text for text in notes)
    assert any("Learning in 3 processes" in text for text in notes)


@pytest.mark.nightly
@pytest.mark.long
def test_where_the_first_is_killed_the_others_say_so_and_the_run_goes_on(home: Path, llama: Path, data: Path) -> None:
    run = start(home, llama, data, 2, max_steps=30)
    until(lambda: len(steps(home, run)) >= 3, LONG)
    first = processes_of(home, run)
    os.kill(first[0].pid, 9)
    until(lambda: gone(first[1].pid))
    log = until(lambda: (text := runs.log_tail(home, run)) and "Process 1 of 2: One of the 2 processes" in text and text)
    assert "Resume: it goes on from the last safety copy" in log
    assert over(home, run).state == "finished", "a worker that was killed goes on by itself"
    assert len({event.step for event in steps(home, run)}) == 30


STANDING_STILL = """
import os, signal, sys
from datetime import timedelta
import torch
from loralab.train import data_parallel as group
group.LOST, group.BEAT = timedelta(seconds=float(sys.argv[1])), 0.2
channel = group.Channel()
channel.broadcast(torch.zeros(1))
if channel.rank:
    print("here", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
try:
    channel.sum(torch.zeros(1))
except Exception as error:
    print(error, flush=True)
os._exit(0)
"""


@pytest.mark.worker
def test_one_that_stands_still_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection stays open, as that of a machine that went dark: only the signs of life are missing."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, value in {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    both = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("LOCAL_RANK", rank)
        both.append(python(STANDING_STILL, "5"))
    try:
        assert first_line(both[1]) == "here"
        assert "One of the 2 processes that learn together is gone" in first_line(both[0])
    finally:
        for process in both:
            process.kill()


@pytest.mark.worker
def test_an_app_that_a_launcher_started_starts_usual_runs(home: Path, fake: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    run = fake(max_steps=2)
    assert over(home, run).state == "finished"


# ---- shares ------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory, llama: Path, data: Path) -> TextSession:
    chosen = models.plan(data, micro_batch=8)
    return TextSession(chosen, models.run_folder(tmp_path_factory.mktemp("run"), chosen, llama))


@pytest.mark.parametrize("processes", [1, 2, 3, 8, 20])
def test_every_example_is_in_one_share(session: TextSession, processes: int) -> None:
    update = next(iter(session.steps(0)))
    shares = data_parallel.dealt(session, update, processes)
    assert len(shares) == processes
    dealt = sorted(row for share in shares for batch in share for row in batch.rows)
    assert dealt == sorted(row for batch in update for row in batch.rows)
    assert sum(batch.n_targets for share in shares for batch in share) == sum(batch.n_targets for batch in update)


def test_shares_are_about_equally_costly(session: TextSession) -> None:
    shares = data_parallel.dealt(session, next(iter(session.steps(0))), 2)
    costs = [sum(batch.cost for batch in share) for share in shares]
    assert max(costs) < 2 * min(costs)


def test_a_share_travels_whole(session: TextSession) -> None:
    batch = data_parallel.dealt(session, next(iter(session.steps(0))), 2)[0][0]
    back = data_parallel._unpacked(session, data_parallel._packed(batch))
    assert (back.rows, back.costs, back.n_targets, back.n_units) == (batch.rows, batch.costs, batch.n_targets, batch.n_units)
    assert all(torch.equal(back.tensors[name], tensor) for name, tensor in batch.tensors.items())


def test_a_share_that_does_not_fit_is_computed_in_smaller_parts(session: TextSession, monkeypatch: pytest.MonkeyPatch) -> None:
    share = list(next(iter(session.steps(0))))
    whole, targets, came_to = data_parallel._learn(session, share)
    real, most = session.loss, max(batch.cost for batch in share) - 1

    def cramped(batch: Any) -> Any:
        if batch.cost > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(batch)

    monkeypatch.setattr(session, "loss", cramped)
    again, same, fits = data_parallel._learn(session, share)
    assert (same, fits) == (targets, came_to) == (targets, data_parallel.FITS)
    assert again == pytest.approx(whole, rel=1e-5)
    most = 0
    assert data_parallel._learn(session, share)[2] == data_parallel.TOO_LARGE


def test_one_that_is_not_the_first_writes_nothing(tmp_path: Path, data: Path, llama: Path) -> None:
    usual = models.run_folder(tmp_path / "run", models.plan(data), llama)
    usual.close()
    before = sorted(path.name for path in usual.path.iterdir())
    silent = SilentFolder(path=usual.path, job=usual.job, log=usual.log)
    assert silent.emit(Noted(text="nothing"))
    assert sorted(path.name for path in usual.path.iterdir()) == before
    assert not silent.short_of_room


# ---- the configuration -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("num_processes: 0", "num_processes"),
        ("num_processes: two", "num_processes"),
        ("- 1", "not a configuration"),
        ("a: [", "cannot be read"),
        ("distributed_type: FSDP\nnum_processes: 2", "lays one model over several cards"),
        ("num_processes: 3\nnum_machines: 2", "spread evenly"),
        ("num_processes: 4\nnum_machines: 2", "where they meet"),
        ("num_processes: 4\nnum_machines: 2\nmain_process_ip: a\nmain_process_port: 1\nmachine_rank: 2", "no machine 2"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "accelerate.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(UserError) as caught:
        launching.read_launch(file)
    assert said in caught.value.problem.what
    assert caught.value.problem.todo


def test_a_configuration_as_accelerate_writes_it_is_read(tmp_path: Path) -> None:
    from accelerate.commands.config.config_args import ClusterConfig

    file = tmp_path / "accelerate.yaml"
    written: Any = ClusterConfig
    written(
        compute_environment="LOCAL_MACHINE",
        distributed_type="MULTI_GPU",
        mixed_precision="bf16",
        use_cpu=False,
        debug=False,
        num_processes=8,
    ).to_yaml_file(str(file))
    found = launching.read_launch(file)
    assert (found.num_processes, found.num_machines, found.distributed_type) == (8, 1, "MULTI_GPU")
    assert "--nproc-per-node=8" in launching.arguments(found, "run")
