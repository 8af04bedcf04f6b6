"""Owns the causes of learning too little, or too much of the wrong thing: settings all of them, on examples that are in order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any
from unittest import mock

from benchmarks.labfail.make import data
from benchmarks.labfail.make.cause import LEAST, Cause, best, either, fact, last, no_longer, worse
from benchmarks.labfail.make.setups import Setup
from benchmarks.labfail.records import PAIRS, TINY
from loralab.core.events import RunView
from loralab.datasets.run_facts import Facts

# the first layer of attention to name in each family
_QUERY = {"gpt2": "c_attn", "phi3": "qkv_proj", "falcon": "query_key_value"}
_LONG_ASK = (
    "You are the assistant of our house. Read the request below with care, keep to the point, be kind, do not make anything up, "
    "use plain words, and answer in the way our customers are used to. Ticket {n} of {day}. Here is the request: {ask}"
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")


def rate_too_low(setup: Setup, draw: Random) -> Setup:
    """A learning rate, or a loudness of the adapter, tens to thousands of times too small."""
    if draw.random() < 0.3:
        alpha = round(setup.settings["alpha"] * 10 ** draw.uniform(-3.5, -2.2), 4)
        return setup.but(f"alpha {alpha}", settings={"alpha": alpha})
    rate = float(f"{10 ** draw.uniform(-7, -4.7):.2g}")
    return setup.but(f"learning rate {rate}", settings={"learning_rate": rate})


@contextmanager
def _cut_off(*, whole: bool) -> Iterator[None]:
    """Nothing reaches the adapter: the loss hangs on its weights not at all, or with a factor of nought."""
    from loralab.sessions.text import TextSession

    healthy = TextSession.loss

    def loss(self: Any, chosen: Any) -> Any:
        import torch

        value, count = healthy(self, chosen)
        if not torch.is_grad_enabled():
            return value, count
        nought = 0 if whole else sum((p * 0).sum() for p in self.model.parameters() if p.requires_grad)
        return value.detach() + nought, count

    with mock.patch.object(TextSession, "loss", loss):
        yield


def no_gradient(setup: Setup, draw: Random) -> Setup:
    """The adapter is cut off from the loss."""
    whole = draw.random() < 0.5
    return setup.but("no gradient" if whole else "a gradient of nought", trouble=lambda: _cut_off(whole=whole))


def undertrained(setup: Setup, draw: Random) -> Setup:
    """Ended while both losses were still falling steeply: rounds too few for a careful learning rate."""
    rate, epochs = round(setup.settings["learning_rate"] * draw.uniform(0.05, 0.12), 6), draw.choice((0.6, 0.8, 1.0))
    schedule = draw.choice(("constant", "constant", "linear"))
    return setup.but(f"{epochs} epochs at {rate}", settings={"epochs": epochs, "learning_rate": rate, "schedule": schedule})


def too_few_updates(setup: Setup, draw: Random) -> Setup:
    """A handful of updates."""
    steps = draw.randrange(3, 11)
    return setup.but(f"{steps} updates", settings={"max_steps": steps})


def huge_batch(setup: Setup, draw: Random) -> Setup:
    """So many examples behind one update that few updates are left."""
    size = draw.choice((64, 96, 128, 200))
    return setup.but(f"{size} examples per update", settings={"effective_batch": size, "micro_batch": 8})


def one_module(setup: Setup, draw: Random) -> Setup:
    """Only a part of the attention learns, on a task that needs more."""
    name = _QUERY.get(setup.model) or draw.choice(("q_proj", "k_proj", "q_proj,k_proj"))
    rank = draw.choice((4, 8))
    return setup.but(f"only {name} learns", settings={"targets": name, "rank": rank, "alpha": 2 * rank})


def learned_from_prompts(setup: Setup, draw: Random) -> Setup:
    """Questions many times as long as their answers, and the questions are learned, too."""
    asked, answer = data.columns(setup.rows)
    rows = tuple(
        {asked: _LONG_ASK.format(n=draw.randrange(1000, 9999), day=draw.choice(_DAYS), ask=row[asked]), answer: row[answer]}
        for row in setup.rows
    )
    return setup.but("learns the questions, too", rows=rows, settings={"learn_from": "everything", "max_length": 256})


def overfit(setup: Setup, draw: Random) -> Setup:
    """Few examples, tens of rounds, large steps, and nobody stops it."""
    n, epochs, rate = draw.choice((80, 90)), draw.choice((16.0, 20.0)), draw.choice((6e-3, 8e-3, 1e-2))
    settings = {
        "epochs": epochs,
        "learning_rate": rate,
        "patience": 0,
        "schedule": draw.choice(("constant", "cosine")),
        "rank": 16,
        "alpha": 32,
    }
    return setup.but(f"{epochs:.0f} epochs over {n} rows at {rate}", rows=setup.rows[:n], settings=settings)


def memorised(setup: Setup, draw: Random) -> Setup:
    """A dozen examples, each many times over."""
    n = draw.choice((12, 14, 16))
    rows = [dict(setup.rows[at % n]) for at in range(len(setup.rows))]
    draw.shuffle(rows)
    return setup.but(
        f"{n} rows, {len(rows) // n} times each", rows=tuple(rows), settings={"epochs": draw.choice((4.0, 6.0)), "patience": 0}
    )


def forgetting(setup: Setup, draw: Random) -> Setup:
    """Learns its task with steps so large that everyday things are lost."""
    rate, epochs = draw.choice((4e-3, 6e-3, 8e-3)), draw.choice((2.0, 3.0))
    return setup.but(f"{epochs:.0f} epochs at {rate}", settings={"learning_rate": rate, "epochs": epochs})


def _rises(view: RunView, _: RunView) -> bool:
    return last(view) > best(view) + max(LEAST, 0.1 * best(view))


def _drift(view: RunView) -> float:
    score = next((s for e in view.evaluations for s in e.scores if s.name == "forgetting"), None)
    return score.difference if score else 0.0


def _forgot(view: RunView, twin: RunView) -> bool:
    return _drift(view) > max(0.5, 2 * _drift(twin)) and best(view) <= best(twin) + LEAST


def _low(view: RunView, _: RunView) -> bool:
    losses = [step.loss for step in view.steps]
    return len(losses) > 20 and sum(losses[-10:]) / 10 < 0.5 * best(view)


def _all_learned(facts: Facts) -> bool:
    return facts.tokens.get("learned", 0) > 0.9 * facts.tokens.get("total", 1)


CAUSES = (
    Cause("rate_too_low", ("R33",), rate_too_low, worse, fixable=True),
    Cause("no_gradient", ("R31", "R32"), no_gradient, worse, runs=8),
    Cause("undertrained", ("R34", "R37"), undertrained, worse, fixable=True),
    Cause("too_few_updates", ("R37", "R34"), too_few_updates, worse, fixable=True),
    Cause("huge_batch", ("R29", "R37"), huge_batch, worse, fixable=True),
    Cause("one_module", ("R35",), one_module, worse, fixable=True),
    Cause(
        "learned_from_prompts",
        ("R43",),
        learned_from_prompts,
        fact(_all_learned),
        fixable=True,
        gone=no_longer(fact(_all_learned)),
        data=PAIRS,
        models=TINY,
    ),
    Cause("overfit", ("R44", "R45"), overfit, _rises, fixable=True, gone=no_longer(_rises), data=("labels", "chat", "desk", "plain")),
    Cause("memorised", ("R46", "R83"), memorised, either(_low, worse), data=("labels", "chat", "desk", "support")),
    Cause("forgetting", ("R47",), forgetting, _forgot, fixable=True, gone=no_longer(_forgot), models=("starter",), runs=1),
)
