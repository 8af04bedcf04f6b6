"""`python -m loralab doctor`: a letter that says what is here and what to do, and never asks for what would be of no use."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from loralab.core.parts import part_of
from loralab.core.paths import CHECKOUT
from loralab.core.records import Footprint
from loralab.machine import checkup as checks
from loralab.machine.checkup import letter
from loralab.machine.gpu import Gpu, Holder
from loralab.machine.speed import Speed
from loralab.planning.plan_checks import machine_problems
from loralab.tasks.text import TextPlan
from tests.support.machines import GB, here, laptop, with_card

BITS, ONNX = (part_of(name).model_copy(update={"present": False, "obstacle": ""}) for name in ("bitsandbytes", "onnx"))
MEASURED = {"speed": Speed(fp32_tflops=0.1, bf16_tflops=0.25, device="cpu"), "avx512_bf16": True}


def checkup(machine, starter):
    return checks.checkup(machine, starter.words, starter_ok=starter.ok)


def found(machine, state=None):
    findings = checkup(machine, here("Qwen2.5-0.5B"))
    return {finding.name: finding for finding in findings if state in (None, finding.state)}


def test_a_healthy_laptop_hears_that_there_is_nothing_wrong(home):
    machine = laptop(**MEASURED, optional=tuple(part.model_copy(update={"present": True}) for part in (ONNX, BITS)))
    assert {finding.state for finding in found(machine).values()} == {"fine"}
    words = letter(machine, checkup(machine, here("Qwen2.5-0.5B")), home, 80)
    assert words.startswith("This computer is well and can train on its processor.")
    assert words.endswith("There is nothing to do.")
    assert "2.5 times as fast" in found(machine)["Speed"].what
    assert "AVX-512-BF16" in found(machine)["Processor"].what
    assert max(map(len, words.splitlines())) <= 80


def test_half_precision_that_is_slower_is_called_slower():
    slow = laptop(speed=Speed(fp32_tflops=0.1, bf16_tflops=0.02, device="cpu"))
    assert "half precision is slower" in found(slow)["Speed"].what


def test_a_part_is_only_asked_for_where_it_is_of_use_and_can_be_had():
    for machine in (laptop(optional=(BITS,)), with_card(optional=(BITS,))):
        assert "Add the part “4-bit training”" in found(machine)["4-bit training"].todo
    assert "one click" in found(laptop(optional=(ONNX,)))["ONNX"].todo
    nowhere = ONNX.model_copy(update={"obstacle": "There is no ready build."})
    assert (found(laptop(optional=(nowhere,)))["ONNX"].state, found(laptop(optional=(nowhere,)))["ONNX"].todo) == ("fine", "")


@pytest.mark.parametrize(
    ("changes", "name", "state", "todo"),
    [
        ({"memory_free": GB}, "Memory", "worth doing", "Close programs"),
        ({"disk_free": GB}, "Disk", "worth doing", "Free some space"),
        ({"versions": {"torch": "absent"}}, "Software", "wrong", "start it again"),
    ],
)
def test_what_is_not_fine_says_what_to_do(changes, name, state, todo):
    finding = found(laptop(**changes))[name]
    assert finding.state == state
    assert todo in finding.todo


def test_a_speed_that_is_not_known_yet_is_nothing_to_worry_about():
    assert (found(laptop())["Speed"].state, found(laptop())["Speed"].todo) == ("fine", "")
    assert "Not known yet" in found(laptop())["Speed"].what


def test_every_finding_that_is_not_fine_has_something_to_do():
    card = Gpu(name="Card", total_bytes=8 * GB, free_bytes=GB, driver="470", driver_cuda="11.4")
    machine = laptop(memory_free=1, disk_free=1, gpus=(card,), torch_cuda="12.8", versions={"torch": "absent"}, optional=(BITS, ONNX))
    trouble = [finding for finding in found(machine).values() if finding.state != "fine"]
    assert {finding.name for finding in trouble} == {"Memory", "Graphics", "Disk", "Software", "4-bit training", "ONNX"}
    assert all(finding.todo for finding in trouble)


def test_a_card_that_torch_cannot_use_and_one_whose_driver_is_old_are_wrong():
    card = Gpu(name="Card", total_bytes=8 * GB, free_bytes=6 * GB, driver="470", driver_cuda="11.4")
    assert "processor only" in found(laptop(gpus=(card,)))["Graphics"].what
    assert "newest driver" in found(laptop(gpus=(card,), torch_cuda="12.8"))["Graphics"].todo
    new = card.model_copy(update={"driver_cuda": "12.2"})  # within a major version torch's builds run on older drivers
    assert found(laptop(gpus=(new,), torch_cuda="12.8"))["Graphics"].state == "fine"


def test_who_takes_the_cards_memory_is_named_with_how_much(home):
    holders = (Holder(pid=31, name="blender", bytes=5 * GB), Holder(pid=7, name="python", bytes=GB, ours=True))
    card = Gpu(name="Card", total_bytes=8 * GB, free_bytes=2 * GB, driver="570", driver_cuda="12.8", holders=holders)
    machine = laptop(gpus=(card,), torch_cuda="12.8")
    taken = found(machine)["Card's memory"]
    assert "blender (process 31, 5.0 GB)" in taken.what
    assert "LoRALab itself (process 7, 1.0 GB)" in taken.what
    assert "Close what you do not need" in taken.todo
    only_ours = card.model_copy(update={"holders": holders[1:]})
    assert "lets go by itself" in found(laptop(gpus=(only_ours,), torch_cuda="12.8"))["Card's memory"].todo


def test_the_plan_page_names_who_holds_the_card_too():
    def said(*holders):
        card = Gpu(name="Card", total_bytes=8 * GB, free_bytes=2 * GB, holders=holders)
        needs = Footprint(memory_bytes=1, free_bytes=2 * GB)
        return [p.what for p in machine_problems(TextPlan(), laptop(gpus=(card,), torch_cuda="12.8"), needs) if p.code == "card_shared"]

    assert said() == []
    game = Holder(pid=31, name="game", bytes=5 * GB)
    assert said(game) == ["Memory on the graphics card is held by game (5.0 GB)."]
    assert said(Holder(pid=7, name="python", ours=True), game) == ["Memory on the graphics card is held by LoRALab itself and 1 more."]


def test_a_container_is_named_where_it_is_what_limits():
    assert "container" in found(laptop(memory_limited=True))["Memory"].what
    assert "container" not in found(laptop())["Memory"].what


@pytest.mark.worker
def test_the_command_measures_once_and_gives_one_json_object(home):
    command = [sys.executable, "-m", "loralab", "doctor", "--json", "--home", str(home)]
    done = subprocess.run(command, cwd=CHECKOUT, env=dict(os.environ), capture_output=True, text=True, timeout=180, check=True)
    said = json.loads(done.stdout)
    assert said["machine"]["speed"]["fp32_tflops"] > 0
    assert {finding["name"] for finding in said["findings"]} >= {"Processor", "Speed", "Memory", "Graphics", "Disk", "Software"}
    assert json.loads((home / "machine.json").read_text())["fp32_tflops"] == said["machine"]["speed"]["fp32_tflops"]
    assert "What is here" in done.stderr
