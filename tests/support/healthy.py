"""Owns healthy trainings that only look frightening, for a guard that must leave them alone."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from benchmarks.labfail.make.texts import TEXTS
from loralab.core.paths import SAMPLES, STARTER
from loralab.train import guard
from tests.support import models
from tests.support.troubles import ONE_AT_A_TIME, STARTER_RUN, Outcome, damaged_folder, train


@dataclass(frozen=True)
class Healthy:
    """One training that does well, and why somebody might think it does not."""

    name: str
    base: str  # a family of tests.support.models, “starter”, or “shouting”: a model that is sure of itself and wrong
    data: str = "uneven"  # uneven | poems | messages | strays | few | shuffled
    settings: dict[str, Any] = field(default_factory=dict)


_BY_HEART: dict[str, Any] = {**STARTER_RUN, "learning_rate": 5e-3, "max_steps": 0, "epochs": 24.0, "schedule": "constant", "eval_every": 12}
HEALTHY = (
    Healthy("one example at a time", "llama", settings=ONE_AT_A_TIME | {"max_steps": 80}),
    Healthy("one at a time, bf16", "qwen2", settings=ONE_AT_A_TIME | {"precision": "bf16", "max_steps": 80}),
    Healthy("one at a time, GPT-2", "gpt2", settings=ONE_AT_A_TIME | {"max_steps": 80}),
    Healthy("one at a time, Falcon", "falcon_alibi", settings=ONE_AT_A_TIME | {"max_steps": 80}),
    Healthy("one at a time, poems", "starter", "poems", STARTER_RUN | ONE_AT_A_TIME | {"max_steps": 60}),
    Healthy(
        "one at a time, bf16, no warm-up",
        "starter",
        "poems",
        STARTER_RUN | ONE_AT_A_TIME | {"precision": "bf16", "warmup": 0.0, "max_steps": 40},
    ),
    Healthy("every sixth example is gibberish", "starter", "strays", STARTER_RUN | ONE_AT_A_TIME | {"max_length": 32}),
    Healthy("gibberish, no clipping", "starter", "strays", STARTER_RUN | ONE_AT_A_TIME | {"max_grad_norm": 0.0, "max_steps": 40}),
    Healthy("learned by heart: loss below 0.1", "starter", "few", _BY_HEART | ONE_AT_A_TIME),
    Healthy("by heart in bf16, loss in stairs", "starter", "few", _BY_HEART | {"effective_batch": 4, "precision": "bf16"}),
    Healthy("initial loss far above guessing", "shouting", settings={"learning_rate": 2e-2, "max_steps": 40}),
    Healthy("the same in bf16", "shouting", settings={"learning_rate": 2e-2, "max_steps": 40, "precision": "bf16"}),
    Healthy("initial loss of 8 nats, falling fast", "starter", "messages", STARTER_RUN | {"learning_rate": 5e-3}),
    Healthy("answers at random: nothing to learn", "starter", "shuffled", STARTER_RUN | {"effective_batch": 2, "max_steps": 40}),
    Healthy("learning rate at its limit", "starter", "poems", STARTER_RUN | {"learning_rate": 1e-2, "effective_batch": 4}),
    Healthy("no clipping, gradients of any length", "llama", settings={"max_grad_norm": 0.0, "learning_rate": 2e-1, "max_steps": 40}),
    Healthy("much dropout", "mistral", settings={"dropout": 0.5, "effective_batch": 2, "max_steps": 60}),
    Healthy("soft-capped logits, bf16", "gemma2", settings={"precision": "bf16", "effective_batch": 2, "max_steps": 60}),
    Healthy("fp16", "phi3", settings={"precision": "fp16", "effective_batch": 2, "max_steps": 40}),
    Healthy(
        "fused layers, constant rate, no warm-up",
        "phi3",
        settings={"schedule": "constant", "warmup": 0.0, "effective_batch": 2, "learning_rate": 5e-2, "max_steps": 60},
    ),
)


def shouting(weights: dict[str, torch.Tensor]) -> None:
    """An output many times too loud: the first loss is far above that of guessing."""
    weights["lm_head.weight"].mul_(60)


def healthy_files(path: Path, family: str) -> tuple[Path, dict[str, Path]]:
    """The model of a healthy run, and the files by name."""
    random = np.random.default_rng(3)
    pairs = [json.loads(line) for line in models.uneven_file(path / "uneven.jsonl").read_text("utf-8").splitlines()]
    words = ["sea", "sky", "green", "coal", "blood", "snow", "small", "grass"]
    strays = [
        {"prompt": f"Say {i}.", "completion": "".join(map(chr, random.integers(33, 1000, 24))) if i % 6 == 0 else "The sea is blue."}
        for i in range(90)
    ]
    shuffled = [{"prompt": f"Which one is number {i}?", "completion": str(random.choice(words))} for i in range(90)]
    for name, rows in (("strays", strays), ("shuffled", shuffled), ("few", pairs[:12])):
        (path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", "utf-8")
    files = {name: path / f"{name}.jsonl" for name in ("uneven", "strays", "shuffled", "few")}
    files |= {"poems": TEXTS / "poet.jsonl", "messages": SAMPLES / "customer_messages.csv"}
    if family == "starter":
        return STARTER, files
    return (damaged_folder(path / family, shouting) if family == "shouting" else models.model_folder(path / family, family)), files


def live(case: Healthy, path: Path) -> tuple[Outcome, int]:
    """Train; how it went, and how often the held-out examples were asked because of a suspicion."""
    path.mkdir(parents=True, exist_ok=True)
    base, files = healthy_files(path, case.base)
    with mock.patch.object(guard, "_is_cleared", wraps=guard._is_cleared) as asked:
        outcome = train(path / "run", base, files[case.data], **{"max_steps": 24, "eval_every": 6, "patience": 0} | case.settings)
    return outcome, asked.call_count
