"""Owns the causes that make numbers too large, or no numbers: rates, scales, narrow formats, damage."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.labfail.make.cause import Cause, either, told, worse
from benchmarks.labfail.make.setups import Setup
from tests.support import troubles

GATED = ("llama", "qwen3", "gemma2", "phi3")
AWAY = either(told("diverged", "non_finite"), worse)


def rate_too_high(setup: Setup, draw: Random) -> Setup:
    """Twenty to three hundred times the usual learning rate."""
    rate = round(setup.settings["learning_rate"] * 10 ** draw.uniform(1.3, 2.5), 4)
    schedule, warmup = draw.choice(("cosine", "linear", "constant")), draw.choice((0.0, 0.05, 0.1))
    return setup.but(f"learning rate {rate}", settings={"learning_rate": rate, "schedule": schedule, "warmup": warmup})


def scale_too_high(setup: Setup, draw: Random) -> Setup:
    """The usual learning rate, and an adapter that speaks tens of times too loudly."""
    rank = draw.choice((1, 2, 4, 8))
    alpha = round(min(1024, 2 * rank * 10 ** draw.uniform(1.5, 2.4)))
    return setup.but(f"alpha {alpha} at rank {rank}", settings={"rank": rank, "alpha": alpha})


def no_warmup(setup: Setup, draw: Random) -> Setup:
    """A learning rate at the edge, at full height from the first update."""
    rate = round(10 ** draw.uniform(-1.9, -1.4), 4)
    return setup.but(f"no warm-up at {rate}", settings={"learning_rate": rate, "warmup": 0.0, "max_grad_norm": 0.0})


def fp16_overflow(setup: Setup, draw: Random) -> Setup:
    """fp16 on a model whose inner numbers reach beyond 65,504."""
    factor = 10 ** draw.uniform(3.5, 5)
    return setup.but("fp16, loud inner layers", settings={"precision": "fp16"}, change=partial(change_weights, partial(_loud, factor)))


def poisoned_rows(setup: Setup, draw: Random) -> Setup:
    """One to three examples whose loss is not a number."""
    rows = tuple(draw.sample(range(1, len(setup.rows)), draw.choice((1, 1, 2, 3))))

    def change(batch: Any, loss: Any) -> Any:
        return loss * float("nan") if set(rows) & set(batch.rows) else loss

    return setup.but(f"rows {rows} give NaN", trouble=lambda: troubles.loss_changed(change))


def number_lost(setup: Setup, draw: Random) -> Setup:
    """A number of the adapter becomes NaN between two updates."""
    at = draw.randrange(4, 24)
    return setup.but(f"NaN in the adapter before update {at}", trouble=lambda: troubles.before_update(at, troubles.break_adapter))


def damaged_base(setup: Setup, draw: Random) -> Setup:
    """The base model's file holds a NaN or an infinity, or its weights break in the middle of the run."""
    if draw.random() < 0.3:
        at = draw.randrange(4, 20)
        return setup.but(f"the base breaks before update {at}", trouble=lambda: troubles.before_update(at, troubles.break_base))
    value = draw.choice((float("nan"), float("inf")))
    return setup.but(f"{value} in the base's file", change=partial(change_weights, partial(_break, value, draw.randrange(1 << 20))))


def broken_kernel(setup: Setup, _: Random) -> Setup:
    """The fast attention kernel gives no numbers."""
    return setup.but("sdpa gives NaN", trouble=troubles.broken_kernel)


# ---- to a model's file -------------------------------------------------------------------------------------------------------


def change_weights(change: Callable[[dict[str, Any]], None], folder: Path) -> None:
    """Change the weights of a model folder in place."""
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _loud(factor: float, weights: dict[str, Any]) -> None:
    """The second layer's inner numbers `factor` times larger, and what reads them as much softer."""
    for name, tensor in weights.items():
        if ".1." not in name or not name.endswith(".weight"):
            continue
        if any(part in name for part in ("gate_proj", "up_proj", "gate_up_proj", "c_fc", "dense_h_to_4h")):
            tensor.mul_(factor)
        if any(part in name for part in ("down_proj",)):
            tensor.div_(factor**2)
        if any(part in name for part in ("mlp.c_proj", "dense_4h_to_h")):
            tensor.div_(factor)


def _break(value: float, number: int, weights: dict[str, Any]) -> None:
    names = sorted(name for name in weights if weights[name].dim() == 2 and "embed" not in name and "wte" not in name and "wpe" not in name)
    tensor = weights[names[number % len(names)]].view(-1)
    tensor[number % len(tensor)] = value


def _usual_scale(setup: Setup) -> Setup:
    return setup.but("", settings={"alpha": 2 * setup.settings["rank"]})


RATE = ("R26", "R02", "R25", "R27")
CAUSES = (
    Cause("rate_too_high", RATE, rate_too_high, AWAY, fixable=True, runs=12),
    Cause("scale_too_high", ("R28", *RATE), scale_too_high, AWAY, fixable=True, rid=_usual_scale),
    Cause("no_warmup", ("R23", *RATE), no_warmup, AWAY, fixable=True, runs=8),
    Cause(
        "fp16_overflow",
        ("R03",),
        fp16_overflow,
        told("non_finite"),
        fixable=True,
        models=("llama", "qwen3", "gemma2", "phi3", "gpt2"),
        rid=lambda setup: setup.but("", settings={"precision": "fp32"}),
    ),
    Cause("poisoned_rows", ("R01",), poisoned_rows, told("bad_row"), fixable=True),
    Cause("number_lost", ("R71",), number_lost, told("non_finite"), fixable=True),
    Cause("damaged_base", ("R70",), damaged_base, told("corrupt_weights")),
    Cause("broken_kernel", ("R04",), broken_kernel, told("non_finite"), fixable=True),
)
