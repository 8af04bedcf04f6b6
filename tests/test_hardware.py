"""The machine is measured quickly, within the limits of a container, and never trusts a file it did not write."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from loralab import hardware
from loralab.hardware import Gpu, Speed, measure_machine
from loralab.paths import CHECKOUT


@pytest.fixture
def machine(home):
    return measure_machine(home)


def test_the_machine_is_described_in_numbers_that_can_be(machine):
    assert machine.cpu
    assert machine.cores >= 1
    assert 0 < machine.memory_free <= machine.memory_total
    assert machine.disk_free > 0
    assert machine.versions["gradio"] != "absent"
    assert {part.name for part in machine.optional} >= {"bitsandbytes", "llama-cpp-python"}
    assert all(part.gives and part.get for part in machine.optional)
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
    ask = "import sys; from pathlib import Path; from loralab.hardware import measure_machine"
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


def test_measured_speeds_are_read_and_a_strange_file_is_ignored(home):
    (home / "machine.json").write_text(
        json.dumps({"bf16_tflops": 0.8, "fp32_tflops": 0.1, "tokens_per_second": {"starter": 3000.0}, "more": 1})
    )
    found = measure_machine(home)
    assert found.speed.tokens_per_second == {"starter": 3000.0}
    assert found.fast_bf16
    (home / "machine.json").write_text("[1, 2")
    assert measure_machine(home).speed == Speed()


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


def test_cards_are_read_from_the_driver(monkeypatch, home):
    import pynvml

    class Memory:
        total, free = 24_000_000_000, 20_000_000_000

    class Holder:
        pid = 1

    answers = {
        "nvmlInit": None, "nvmlShutdown": None, "nvmlSystemGetDriverVersion": "570.1", "nvmlDeviceGetCount": 1,
        "nvmlDeviceGetHandleByIndex": object(), "nvmlDeviceGetMemoryInfo": Memory, "nvmlDeviceGetName": "RTX",
        "nvmlDeviceGetComputeRunningProcesses": [Holder],
        "nvmlDeviceGetCudaComputeCapability": (8, 9),
    }  # fmt: skip
    for name, answer in answers.items():
        monkeypatch.setattr(pynvml, name, lambda *_, answer=answer: answer)
    (card,) = measure_machine(home).gpus
    assert card == Gpu(name="RTX", total_bytes=24_000_000_000, free_bytes=20_000_000_000, driver="570.1", capability=(8, 9), processes=1)
