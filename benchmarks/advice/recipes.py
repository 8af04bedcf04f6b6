"""Owns what fine-tunings are set up like: figures out of public tables, and faults that nobody's rules ordered.

Invariants: a number gives the same case for ever; half of the cases are closed and looked at once. Learning rates are ten times what the
tables say, because the tiny bases learn at 2e-3 as large models do at 2e-4 (benchmarks/labfail/make/bases.py).
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.labfail.make import data
from benchmarks.labfail.make.texts import TEXTS

Row = dict[str, str]
ROWS, HELD = 120, 24  # to learn from and kept aside; the latter are always in order, the same for every remedy
SCALE = 10.0  # times the learning rate of the tables
USUAL: dict[str, Any] = {
    "max_length": 128,
    "micro_batch": 8,
    "effective_batch": 8,
    "rank": 8,
    "alpha": 16.0,
    "learning_rate": 2e-4,
    "epochs": 3.0,
}

# Where the figures are from: notebooks, training scripts and configuration files that are public; figures only
RECIPES: dict[str, dict[str, Any]] = {
    "lit-gpt, TinyLlama": {"epochs": 3.0, "warmup": 0.1},
    "ChatGLM efficient tuning, a script": {"effective_batch": 16, "learning_rate": 5e-5, "schedule": "cosine"},
    "alpaca-lora, a script": {
        "effective_batch": 128,
        "epochs": 1.0,
        "rank": 16,
        "alpha": 16.0,
        "learning_rate": 3e-4,
        "targets": "attention",
    },
    "llama-recipes, a script": {"effective_batch": 1, "epochs": 6.0, "weight_decay": 0.2, "learning_rate": 1e-4},
    "an Axolotl wrapper": {"learning_rate": 4e-4, "weight_decay": 0.01, "dropout": 0.01, "epochs": 4.0, "rank": 16, "alpha": 32.0},
    "a guide of 2025": {"effective_batch": 16, "epochs": 2.0, "rank": 16, "alpha": 16.0, "learning_rate": 2e-4},
    "QLoRA's paper": {"effective_batch": 16, "rank": 64, "alpha": 16.0, "dropout": 0.1, "schedule": "constant", "learning_rate": 2e-4},
    "a Colab notebook": {"effective_batch": 8, "max_steps": 60, "schedule": "linear", "rank": 16, "alpha": 16.0, "warmup": 0.08},
}


# ---- nine kinds of examples ------------------------------------------------------------------------------------------------
def _sums(n: int, draw: random.Random) -> list[Row]:
    made: list[Row] = []
    for _ in range(n):
        a, b, c = (draw.randint(2, 30) for _ in range(3))
        told = f"{a} plus {b} is {a + b}. {a + b} plus {c} is {a + b + c}. #### {a + b + c}"
        made.append({"prompt": f"Ann has {a} pears, gets {b} and then {c} more. How many has she?", "completion": told})
    return made


def _code(n: int, draw: random.Random) -> list[Row]:
    rows = [json.loads(line) for line in (TEXTS / "code_commenter.jsonl").read_text("utf-8").splitlines()][
        400:
    ]  # the bases know the others
    return [{"prompt": row["docstring"][:140], "completion": row["code"][:160]} for row in draw.sample(rows, min(n, len(rows)))]


def _style(n: int, draw: random.Random) -> list[Row]:
    rows = data.rows_of("desk", n, draw.randrange(99))
    return [
        {"prompt": row["prompt"], "completion": f"Arr, matey! {row['completion'].split('.')[0].lower()}, or I be a landlubber."}
        for row in rows
    ]


def _two(n: int, draw: random.Random) -> list[Row]:
    seed = draw.randrange(99)
    return [*data.rows_of("numbers", n // 2, seed), *data.rows_of("support", n - n // 2, seed)]


def _labels(n: int, draw: random.Random) -> list[Row]:
    return [{"prompt": row["text"], "completion": row["category"]} for row in data.rows_of("labels", n, draw.randrange(99))]


def _named(name: str) -> Callable[[int, random.Random], list[Row]]:
    return lambda n, draw: data.rows_of(name, n, draw.randrange(99))


KINDS: dict[str, Callable[[int, random.Random], list[Row]]] = {
    "labels": _labels,
    "short answers": _named("numbers"),
    "long answers": _named("desk"),
    "style": _style,
    "chat": _named("chat"),
    "reasoning": _sums,
    "code": _code,
    "two tasks": _two,
    "templated": _named("support"),
    "tiny": lambda n, draw: data.rows_of("desk", min(n, 45), draw.randrange(99)),
}


# ---- faults ----------------------------------------------------------------------------------------------------------------
def _shuffled(rows: list[Row], draw: random.Random) -> list[Row]:
    answers = [row["completion"] for row in rows]
    draw.shuffle(answers)
    return [row | {"completion": answer} for row, answer in zip(rows, answers, strict=True)]


def _swapped(rows: list[Row], _draw: random.Random) -> list[Row]:
    return [{"prompt": row["completion"], "completion": row["prompt"]} for row in rows]


def _half_wrong(rows: list[Row], draw: random.Random) -> list[Row]:
    wrong = _shuffled(rows[: len(rows) // 2], draw)
    return [*wrong, *rows[len(rows) // 2 :]]


def _foreign(rows: list[Row], _draw: random.Random) -> list[Row]:
    turned = str.maketrans("aeiouAEIOU", "äëïöüÄËÏÖÜ")
    return [row | {"completion": row["completion"].translate(turned)} for row in rows]


def _copies(rows: list[Row], _draw: random.Random) -> list[Row]:
    return [row for row in rows[: len(rows) // 6] for _ in range(6)]


DATA: dict[str, Callable[[list[Row], random.Random], list[Row]]] = {
    "answers shuffled": _shuffled,
    "columns swapped": _swapped,
    "half of the answers mixed up": _half_wrong,
    "another spelling": _foreign,
    "each row six times": _copies,
}
SETTINGS: dict[str, dict[str, Any]] = {  # figures are those of the plan, or times what the recipe says
    "a rate fifty times as large": {"times": {"learning_rate": 50.0}},
    "a rate forty times as small": {"times": {"learning_rate": 1 / 40}},
    "five updates": {"max_steps": 5},
    "thirty rounds": {"epochs": 30.0, "patience": 0},
    "dropout of 0.9": {"dropout": 0.9},
    "a warm-up as long as the run": {"warmup": 1.0},
    "alpha of 512": {"alpha": 512.0},
    "rank 1 on attention": {"rank": 1, "alpha": 2.0, "targets": "attention"},
    "all rows in one update": {"effective_batch": 120},
    "weight decay of 1": {"weight_decay": 1.0},
    "questions learned, too": {"learn_from": "everything"},
    "a clock of seconds": {"max_minutes": 0.02},
}
FAULTS = (*DATA, *SETTINGS)


@dataclass(frozen=True)
class Drawn:
    """A case before it is run: rows as they are given, rows as they should be, and the plan's settings."""

    key: str
    recipe: str
    kind: str
    faults: tuple[str, ...]
    rows: tuple[Row, ...]
    clean: tuple[Row, ...]
    settings: dict[str, Any]

    @property
    def half(self) -> str:
        """dev, or closed: looked at once, at the end."""
        return ("dev", "closed")[zlib.crc32(self.key.encode()) % 2]


def drawn(number: int) -> Drawn:
    """The case of a number: a recipe on some kind of examples, with no, one or two faults; every third has none."""
    draw = random.Random(f"advice {number}")
    recipe, kind = draw.choice(sorted(RECIPES)), draw.choice(sorted(KINDS))
    faults = tuple(draw.sample(FAULTS, draw.choice((0, 1, 2))))
    rows = KINDS[kind](ROWS + HELD, draw)
    held = min(HELD, len(rows) // 3)
    test, clean = [row | {"split": "test"} for row in rows[:held]], rows[held:]
    given, settings = clean, USUAL | RECIPES[recipe]
    for fault in faults:
        if fault in DATA:
            given = DATA[fault](list(given), draw)
            continue
        change = dict(SETTINGS[fault])
        for name, times in change.pop("times", {}).items():
            settings[name] *= times
        settings |= change
    settings |= {"learning_rate": min(0.9, SCALE * settings["learning_rate"]), "seed": number}
    marked = [[*(row | {"split": "train"} for row in part), *test] for part in (given, clean)]
    return Drawn(f"{number}/{recipe}/{kind}", recipe, kind, faults, tuple(marked[0]), tuple(marked[1]), settings)
