"""The machine is measured quickly, within the limits of a container, and never trusts a file it did not write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest

from loralab.core.paths import CHECKOUT
from loralab.machine import hardware, speed
from loralab.machine.gpu import Gpu, nvidia_cards
from loralab.machine.hardware import fingerprint, measure_machine
from loralab.machine.speed import Speed


@pytest.fixture
def machine(home):
    return measure_machine(home)


def test_the_machine_is_described_in_numbers_that_can_be(machine):
    assert machine.cpu
    assert machine.cores >= 1
    assert 0 < machine.memory_free <= machine.memory_total
    assert machine.disk_free > 0
    assert machine.versions["gradio"] != "absent"
    assert {part.name for part in machine.optional} >= {"bitsandbytes", "llama_cpp", "onnx"}
    assert f"{machine.cores}-core" in machine.words
    assert "GB of memory free" in machine.words


def test_the_footer_can_ask_often(home):
    measure_machine(home)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        measure_machine(home)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.05


def test_measuring_imports_no_torch(home):
    ask = "import sys; from pathlib import Path; from loralab.machine.hardware import measure_machine"
    code = f"{ask}; measure_machine(Path(sys.argv[1])); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(home)], cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"


def test_a_workspace_that_does_not_exist_yet_is_measured_by_its_parent(tmp_path):
    assert measure_machine(tmp_path / "not" / "yet").disk_free > 0


def group(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(str(content))


def test_the_limit_of_a_version_2_container_counts_and_cache_can_be_given_back(tmp_path):
    root, membership = tmp_path / "cgroup", tmp_path / "membership"
    group(root, memory__max="max")
    group(root / "box", memory__max=4_000, memory__current=3_000)
    (root / "box" / "memory.stat").write_text("anon 2500\ninactive_file 400\n")
    membership.write_text("0::/box\n")
    assert hardware._limits(root, membership) == [(4_000, 2_600)]


def test_the_limit_of_a_version_1_container_counts_and_no_limit_is_none(tmp_path):
    root, membership = tmp_path / "cgroup", tmp_path / "membership"
    group(root / "memory", memory__limit_in_bytes=9223372036854771712, memory__usage_in_bytes=5)
    group(root / "memory" / "box", memory__limit_in_bytes=8_000, memory__usage_in_bytes=5_000)
    membership.write_text("5:cpu,cpuacct:/box\n4:memory:/box/inner\n")
    assert hardware._limits(root, membership) == [(8_000, 5_000)]
    assert hardware._limits(root, tmp_path / "absent") == []


def test_a_container_bounds_what_is_reported(monkeypatch, home):
    monkeypatch.setattr(hardware, "_limits", lambda *_: [(2_000_000_000, 500_000_000)])
    found = measure_machine(home)
    assert found.memory_total == 2_000_000_000
    assert found.memory_free == 1_500_000_000


def test_measured_speeds_are_kept_for_this_computer_and_no_other(machine, home):
    mine = Speed(bf16_tflops=0.8, fp32_tflops=0.1, device="cpu", fingerprint=fingerprint(machine))
    speed.keep(home, mine)
    found = measure_machine(home)
    assert found.speed == mine
    assert set(json.loads((home / "machine.json").read_text())) == {"bf16_tflops", "fp32_tflops", "device", "fingerprint"}
    speed.keep(home, mine.model_copy(update={"fingerprint": mine.fingerprint.replace("torch ", "torch 0.")}))
    assert measure_machine(home).speed == Speed(), "a workspace carried elsewhere, or a new torch, is measured again"


@pytest.mark.parametrize("content", ["[1, 2", "{}", json.dumps({"bf16_tflops": -1}), json.dumps({"fp32_tflops": "NaN"})])
def test_a_strange_file_of_speeds_is_no_speed(machine, home, content):
    (home / "machine.json").write_text(content)
    assert measure_machine(home).speed == Speed()


def test_a_read_only_workspace_only_means_measuring_again(home, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(speed, "write_atomic", full)
    speed.keep(home, Speed(fp32_tflops=1.0))
    assert not (home / "machine.json").exists()


@pytest.mark.worker
def test_the_probe_runs_once_in_a_process_of_its_own(lab, monkeypatch):
    asked = []
    real = subprocess.Popen
    monkeypatch.setattr(speed.subprocess, "Popen", lambda command, **rest: asked.append(command) or real(command, **rest))
    first = lab.measure_speed(quietly=True)
    assert first.known
    assert 0.0005 < first.fp32_tflops < 200, "between an old netbook and the largest card there is"
    assert first.device in ("cpu", "cuda", "mps")
    assert "torch" not in sys.modules or not any("torch" in word for word in asked[0])
    assert lab.measure_speed() == first
    assert lab.machine().speed == first
    assert len(asked) == 1


@pytest.mark.parametrize("said", ["", "Traceback ...", "{}x"])
def test_a_probe_that_says_nothing_useful_leaves_no_trace(lab, monkeypatch, said):
    real = subprocess.Popen
    speak = [sys.executable, "-c", f"print({said!r})"]
    monkeypatch.setattr(speed.subprocess, "Popen", lambda _, **rest: real(speak, **rest))
    assert lab.measure_speed() == Speed()
    assert not (lab.home / "machine.json").exists()


def test_a_probe_overrules_what_the_chip_claims(machine):
    claims = machine.model_copy(update={"gpus": (), "apple_gpu": "", "avx512_bf16": True})
    assert claims.fast_bf16
    assert not claims.model_copy(update={"speed": Speed(bf16_tflops=0.05, fp32_tflops=0.1)}).fast_bf16


def test_a_card_counts_only_when_the_installed_torch_can_use_it(machine):
    card = Gpu(name="Card", total_bytes=8_000_000_000, free_bytes=6_000_000_000, capability=(7, 5))
    unused = machine.model_copy(update={"gpus": (card,), "torch_cuda": "", "apple_gpu": ""})
    assert unused.accelerator == "cpu"
    assert "not used" in hardware._words(unused)
    used = machine.model_copy(update={"gpus": (card,), "torch_cuda": "12.8"})
    assert used.accelerator == "cuda"
    assert used.training_memory_free == 6_000_000_000
    assert not used.fast_bf16, "a card before Ampere has no fast bf16"


# ---- cards, by a driver library that is not real --------------------------------------------------------------------------


class NoAnswer(Exception):
    """What the library raises."""


def library(**changes):
    """As pynvml answers on a machine with one card and the given programs on it."""
    answers = {
        "nvmlInit": None,
        "nvmlShutdown": None,
        "nvmlSystemGetDriverVersion": "570.1",
        "nvmlSystemGetCudaDriverVersion": 12080,
        "nvmlDeviceGetCount": 1,
        "nvmlDeviceGetHandleByIndex": object(),
        "nvmlDeviceGetName": b"RTX",
        "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=24_000_000_000, free=20_000_000_000),
        "nvmlDeviceGetComputeRunningProcesses": [],
        "nvmlDeviceGetGraphicsRunningProcesses": [],
        "nvmlDeviceGetCudaComputeCapability": (8, 9),
    }

    def answer(value):
        def reply(*_):
            if value is NoAnswer:
                raise NoAnswer
            return value

        return reply

    return SimpleNamespace(NVMLError=NoAnswer, **{name: answer(value) for name, value in (answers | changes).items()})


def held(pid, size):
    return SimpleNamespace(pid=pid, usedGpuMemory=size)


def test_cards_are_read_from_the_driver():
    (card,) = nvidia_cards(library())
    assert card == Gpu(
        name="RTX", total_bytes=24_000_000_000, free_bytes=20_000_000_000, driver="570.1", driver_cuda="12.8", capability=(8, 9)
    )
    assert card.processes == 0


def test_who_holds_memory_on_a_card_is_told_by_name_and_we_are_not_among_them():
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        computing = [held(os.getpid(), 9_000), held(other.pid, 3_000), held(2**22 + 7, 5_000)]
        drawing = [held(other.pid, 1_000)]
        named = {"nvmlDeviceGetComputeRunningProcesses": computing, "nvmlDeviceGetGraphicsRunningProcesses": drawing}
        (card,) = nvidia_cards(library(**named))
        assert [(h.pid, h.name, h.bytes, h.ours) for h in card.holders] == [
            (2**22 + 7, "a program", 5_000, False),
            (other.pid, psutil.Process(other.pid).name(), 3_000, False),
        ]
    finally:
        other.kill()
        other.wait()


def test_a_run_of_ours_on_the_card_is_known_as_such():
    code = "import time; time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", code, "-m", "loralab.runs.worker", "runs/x"])
    try:
        (card,) = nvidia_cards(library(nvmlDeviceGetComputeRunningProcesses=[held(other.pid, None)]))
        assert [(h.bytes, h.ours) for h in card.holders] == [(0, True)]
    finally:
        other.kill()
        other.wait()


def test_a_driver_that_does_not_answer_is_no_card_and_one_that_will_not_tell_is_one():
    assert nvidia_cards(library(nvmlInit=NoAnswer)) == ()
    assert nvidia_cards(library(nvmlDeviceGetMemoryInfo=NoAnswer)) == ()
    mute = library(nvmlDeviceGetComputeRunningProcesses=NoAnswer, nvmlDeviceGetGraphicsRunningProcesses=NoAnswer)
    assert nvidia_cards(mute)[0].holders == ()
    assert nvidia_cards(library(nvmlSystemGetCudaDriverVersion=NoAnswer))[0].driver_cuda == ""
