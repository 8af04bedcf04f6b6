"""Owns what is said about a computer: what is here, what is fine, what is missing, and what to do about it.

Invariant: every finding that is not fine says what to do; what would be of no use on this computer is not asked for.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from loralab.core.parts import Part
from loralab.core.records import Record
from loralab.machine.gpu import Gpu
from loralab.machine.hardware import Machine

GB = 1e9
LITTLE_MEMORY, LITTLE_DISK = 2 * GB, 5 * GB  # the starter trains in half a gigabyte, a model of 0.5 B weights in fp32 in four
HOLDERS = 4  # named one by one


class Finding(Record):
    """One line of the letter."""

    name: str
    state: Literal["fine", "worth doing", "wrong"]
    what: str
    todo: str = ""
    part: str = ""  # the optional part it is about


def checkup(machine: Machine, starter: str, *, starter_ok: bool) -> tuple[Finding, ...]:
    """Everything there is to say, in the order in which it matters; `starter` says what the bundled model is good for."""
    return (
        *_processor(machine),
        _speed(machine),
        _memory(machine),
        *_graphics(machine),
        _disk(machine),
        _software(machine),
        Finding(name="Starter model", state="fine", what=starter)
        if starter_ok
        else Finding(name="Starter model", state="wrong", what=starter, todo="Download LoRALab again: data/starter is part of it."),
        *_optional(machine),
    )


def _processor(machine: Machine) -> Iterator[Finding]:
    has = [name for name, there in (("AMX", machine.amx_bf16), ("AVX-512-BF16", machine.avx512_bf16)) if there]
    said = f"{machine.cpu}, {machine.cores} core{'s' if machine.cores > 1 else ''}, {machine.platform}"
    if has:
        yield Finding(name="Processor", state="fine", what=f"{said}; computes half precision (bf16) in hardware: {' and '.join(has)}.")
    else:
        yield Finding(name="Processor", state="fine", what=f"{said}; no sign of AMX or AVX-512-BF16, so fp32 is its natural precision.")


def _speed(machine: Machine) -> Finding:
    exact, half = machine.speed.fp32_tflops, machine.speed.bf16_tflops
    if exact is None:
        what = "Not known yet: it is measured when the app is idle or a run begins. Until then, times are guessed from its name."
        return Finding(name="Speed", state="fine", what=what)
    where = {"cuda": "on the graphics card", "mps": "on the graphics cores"}.get(machine.speed.device, "on the processor")
    said = f"{_tflops(exact)} in fp32 {where}"
    if half is None:
        return Finding(name="Speed", state="fine", what=f"{said}; half precision (bf16) is not possible.")
    times = half / exact
    verdict = f"{times:.1f} times as fast" if times >= 1.05 else "no faster" if times >= 0.95 else f"slower ({times:.2f} times the speed)"
    return Finding(name="Speed", state="fine", what=f"{said}, {_tflops(half)} in bf16: half precision is {verdict}.")


def _tflops(value: float) -> str:
    return f"{value:.3g} TFLOP/s"


def _memory(machine: Machine) -> Finding:
    limit = ", as much as this container allows" if machine.memory_limited else ""
    said = f"{machine.memory_free / GB:.1f} of {machine.memory_total / GB:.1f} GB free{limit}."
    if machine.memory_free >= LITTLE_MEMORY:
        return Finding(name="Memory", state="fine", what=said)
    todo = "Close programs you do not need (browsers take most), or give the container more. The starter model trains in about 1 GB."
    return Finding(name="Memory", state="worth doing", what=said, todo=todo)


def _graphics(machine: Machine) -> Iterator[Finding]:
    if machine.apple_gpu:
        yield Finding(name="Graphics", state="fine", what=f"The graphics cores of the {machine.apple_gpu}; they share the memory.")
    elif not machine.gpus:
        what = "No NVIDIA card and no Apple GPU was found: training runs on the processor, which is fine for small models."
        yield Finding(name="Graphics", state="fine", what=what)
    for card in machine.gpus:
        yield _card(card, machine.torch_cuda)
        if card.holders:
            yield Finding(name="Card's memory", state="worth doing", what=_held(card), todo=_let_go(card))


def _card(card: Gpu, torch_cuda: str) -> Finding:
    said = f"{card.name}, {card.free_bytes / GB:.1f} of {card.total_bytes / GB:.1f} GB free, driver {card.driver}."
    if not torch_cuda:
        todo = "Delete LoRALab's folder .venv and start LoRALab again: it fetches the build for your card."
        return Finding(name="Graphics", state="wrong", what=f"{said} Not used: the installed torch is for the processor only.", todo=todo)
    if card.driver_cuda and _number(card.driver_cuda)[:1] < _number(torch_cuda)[:1]:
        what = f"{said} The driver knows CUDA up to {card.driver_cuda}; the installed torch was made for {torch_cuda}."
        return Finding(name="Graphics", state="wrong", what=what, todo="Install the newest driver from nvidia.com, then restart.")
    return Finding(name="Graphics", state="fine", what=f"{said} CUDA {torch_cuda}.")


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _held(card: Gpu) -> str:
    named = [
        f"{'LoRALab itself' if holder.ours else holder.name} (process {holder.pid}"
        + (f", {holder.bytes / GB:.1f} GB)" if holder.bytes else ")")
        for holder in card.holders[:HOLDERS]
    ]
    more = f" and {len(card.holders) - HOLDERS} more" if len(card.holders) > HOLDERS else ""
    return f"On the {card.name}, memory is held by {', '.join(named)}{more}."


def _let_go(card: Gpu) -> str:
    if all(holder.ours for holder in card.holders):
        return "That is a run or a chat of yours: it lets go by itself when it ends."
    return "Close what you do not need before a large run; what you draw the screen with may stay."


def _disk(machine: Machine) -> Finding:
    said = f"{machine.disk_free / GB:.0f} GB free where your workspace is."
    if machine.disk_free >= LITTLE_DISK:
        return Finding(name="Disk", state="fine", what=said)
    todo = "Free some space, or move your workspace to another disk: a model is 0.3 to 16 GB."
    return Finding(name="Disk", state="worth doing", what=said, todo=todo)


def _software(machine: Machine) -> Finding:
    wanted = [name for name in ("torch", "transformers", "peft", "safetensors", "tokenizers", "gradio") if name in machine.versions]
    absent = [name for name in wanted if machine.versions[name] == "absent"]
    said = f"Python {machine.python}, " + ", ".join(f"{name} {machine.versions[name]}" for name in wanted)
    if absent:
        return Finding(
            name="Software", state="wrong", what=f"{said}.", todo="Close LoRALab and start it again: it installs what is missing."
        )
    return Finding(name="Software", state="fine", what=f"{said}.")


def _optional(machine: Machine) -> Iterator[Finding]:
    for part in machine.optional:
        if part.present:
            yield Finding(name=part.title, state="fine", what=f"Installed: it {part.gives}.", part=part.name)
        else:
            yield _absent(part)


def _absent(part: Part) -> Finding:
    """A part that is not here is only asked for where it can be had."""
    what = f"Not installed. It {part.gives}."
    if part.obstacle:
        return Finding(name=part.title, state="fine", what=f"{what} {part.obstacle}", part=part.name)
    return Finding(name=part.title, state="worth doing", what=what, todo=part.todo, part=part.name)


# ---- the letter ------------------------------------------------------------------------------------------------------------


def letter(machine: Machine, found: Sequence[Finding], home: Path, width: int) -> str:
    """The findings as a letter to the owner of the computer, `width` columns wide."""
    wide = max(40, min(width, 100))
    wrong = [finding for finding in found if finding.state == "wrong"]
    advice = [finding for finding in found if finding.state == "worth doing"]
    parts = [_opening(machine, wrong), "", "What is here"]
    parts += [line for finding in found for line in _entry(finding.name, finding.what, wide)]
    parts += _entry("Workspace", str(home), wide)
    for title, these in (("What is wrong, and what to do", wrong), ("Worth doing, when you like", advice)):
        if these:
            parts += ["", title]
            parts += [line for number, finding in enumerate(these, 1) for line in _step(number, finding, wide)]
    if not wrong and not advice:
        parts += ["", "There is nothing to do."]
    return "\n".join(parts)


def _opening(machine: Machine, wrong: Sequence[Finding]) -> str:
    where = {"cuda": "on its graphics card", "mps": "on its graphics cores", "cpu": "on its processor"}[machine.accelerator]
    if wrong:
        count = "one thing is" if len(wrong) == 1 else f"{len(wrong)} things are"
        return f"This computer can train {where}, but {count} in the way."
    return f"This computer is well and can train {where}."


def _entry(name: str, text: str, wide: int) -> list[str]:
    return textwrap.wrap(text, wide, initial_indent=f"  {name:<17}", subsequent_indent=" " * 19, break_on_hyphens=False)


def _step(number: int, finding: Finding, wide: int) -> list[str]:
    text = f"{finding.name}: {finding.todo}"
    return textwrap.wrap(text, wide, initial_indent=f"  {number}. ", subsequent_indent="     ", break_on_hyphens=False)
