"""Owns the healthy runs of LabFail: the usual run of every cell, and those that only look frightening.

Invariant: every one of them does well or as well as its examples allow; an alarm in one of them is false.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.labfail.make import data
from benchmarks.labfail.make.causes_numbers import change_weights
from benchmarks.labfail.make.setups import Setup, usual
from benchmarks.labfail.records import DATA, MODELS, TINY
from tests.support import troubles

PLAIN = "usual"
SLOW = ("labels", "support")  # data sets of the starter, which takes ten times as long as the others
SEEDS = 2

_ONE = {"effective_batch": 1, "micro_batch": 1, "epochs": 0.4, "learning_rate": 1e-3}


def pool() -> list[tuple[str, str, int]]:
    """(model, data, seed) of the usual runs: what every cause is put into, and compared with."""
    return [
        (model, name, seed)
        for seed in range(SEEDS)
        for model in MODELS
        for name in DATA
        if model != "starter" or (seed == 0 and name in SLOW)
    ]


def _gibberish(setup: Setup, draw: Random) -> Setup:
    asked, answer = data.columns(setup.rows)
    rows = tuple(
        {**row, answer: "".join(chr(draw.randrange(33, 900)) for _ in range(24))} if draw.random() < 0.06 else row for row in setup.rows
    )
    return setup.but("every sixteenth answer is gibberish", rows=rows, settings=_ONE if asked else {})


def _long_rows(setup: Setup, draw: Random) -> Setup:
    _, answer = data.columns(setup.rows)
    rows = tuple({**row, answer: " ".join([str(row[answer])] * draw.choice((1, 1, 1, 3)))} for row in setup.rows)
    return setup.but("some answers three times as long", rows=rows, settings={"max_length": 256})


def _by_heart(setup: Setup, draw: Random) -> Setup:
    """A task so regular that a loss below 0.1 is what it should come to, in rounds."""
    bins = {"glass": "green", "paper": "blue", "peel": "brown", "tin": "yellow", "ash": "grey", "milk": "white"}
    rows = [
        {"prompt": f"Which bin for {thing} number {n}?", "completion": f"The {colour} bin, please."}
        for n in range(40)
        for thing, colour in bins.items()
    ]
    draw.shuffle(rows)
    return setup.but("a regular task: loss below 0.1", rows=tuple(rows), settings={"epochs": 3.0})


def _shouting(folder: Path) -> None:
    change_weights(_loud_end, folder)


def _loud_end(weights: dict[str, Any]) -> None:
    """The last norm three times as loud: the model is sure of itself and wrong, and its first loss far above guessing."""
    for name, tensor in weights.items():
        if name in ("model.norm.weight", "transformer.ln_f.weight"):
            tensor.mul_(3)


def _once(setup: Setup, draw: Random) -> Setup:
    at = draw.randrange(5, 40)
    return setup.but("one NaN that does not come back", trouble=lambda: troubles.nan_once(at))


def _stopped(setup: Setup, draw: Random) -> Setup:
    at = draw.randrange(12, 26)
    return setup.but("stopped by a person", trouble=lambda: troubles.before_update(at, lambda run: (run.folder.path / "stop").touch()))


def _set(words: str, **settings: Any) -> Callable[[Setup, Random], Setup]:
    return lambda setup, _: setup.but(words, settings=settings)


FRIGHTENING: dict[str, Callable[[Setup, Random], Setup]] = {
    "one_at_a_time": _set("one example at a time", **_ONE),
    "one_at_a_time_bf16": _set("one example at a time in bf16, no warm-up", precision="bf16", warmup=0.0, **_ONE),
    "two_at_a_time": _set("two at a time, unclipped", effective_batch=2, micro_batch=2, max_grad_norm=0.0, epochs=1.0, learning_rate=1e-3),
    "bf16": _set("bf16", precision="bf16"),
    "no_warmup": _set("no warm-up, constant", warmup=0.0, schedule="constant", learning_rate=1e-3),
    "to_zero": _set("cosine to zero over more rounds", epochs=3.0, schedule="cosine"),
    "stairs": _set("constant rate, rounds like stairs", epochs=3.0, schedule="constant"),
    "dropout": _set("much dropout", dropout=0.3),
    "quick": _set("a learning rate twice the usual", learning_rate=4e-3),
    "careful": _set("a learning rate a third of the usual, more rounds", learning_rate=6e-4, epochs=4.0),
    "small_rank": _set("rank 2", rank=2, alpha=4),
    "large_rank": _set("rank 64, rank-stabilised", rank=64, alpha=16, use_rslora=True, learning_rate=5e-4),
    "decay": _set("weight decay", weight_decay=0.05),
    "in_pieces": _set("one at a time, eight per update, recomputed", micro_batch=1, recompute="full"),
    "clipped": _set("clipped tightly", max_grad_norm=0.3),
    "eager": _set("plain attention", attention="eager"),
    "gibberish": _gibberish,
    "long_rows": _long_rows,
    "by_heart": _by_heart,
    "high_start": lambda setup, _: setup.but("first loss far above guessing", change=_shouting),
    "nan_once": _once,
    "stopped": _stopped,
}
EACH = 2  # runs of each in a draw of cells
DRAWS = (5, 6)


def frightening() -> list[tuple[str, str, str, int]]:
    """(name, model, data, number) of the runs that only look frightening, spread over models and data."""
    found: list[tuple[str, str, str, int]] = []
    for turn, seed in enumerate(DRAWS):
        cells = [(model, name) for model in TINY for name in DATA]
        Random(seed).shuffle(cells)
        for at, name in enumerate(FRIGHTENING):
            found += [(name, *cells[(at * EACH + number) % len(cells)], turn * EACH + number) for number in range(EACH)]
    return found


def setup_of(name: str, model: str, kind: str, number: int) -> Setup:
    """A healthy run."""
    if name == PLAIN:
        return usual(model, kind, number)
    return FRIGHTENING[name](usual(model, kind, number), Random(f"{name} {number}"))
