"""Owns the measure that tells knowing from sounding alike: how much the question helps the model to the right answer.

A model that only learned the tone of the examples finds every answer likelier, whatever was asked; one that learned what belongs to
what finds an answer likelier after its own question than after another's. The difference of both losses is the pointwise mutual
information of question and answer (Church & Hanks 1990), as this model sees it.

Invariant: the same answers and the same wrong questions for base and adapter; only the tokens of the last answer count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from loralab.core.records import Example, Message
from loralab.datasets.dataset import spread
from loralab.evaluations import Evaluation, Judging, Measured
from loralab.evaluations.shared.answer_scores import Trait, shorten
from loralab.evaluations.shared.answers import asked
from loralab.evaluations.shared.readings import Readings, readings
from loralab.evaluations.text import TEXT
from loralab.models.tokenize import Encoded

MOST_ROWS = 128  # each is read twice, without and with the adapter
SEED = 0  # of the wrong questions
DISTINCT = 0.5  # share of different questions below which “another question” means little

TRAIT = Trait(
    "question_fit",
    "Fits answers to questions",
    "How much more likely an answer is after its own question than after another one from your file (nats per token). "
    "0 means that the question plays no part.",
    "accuracy",
    "It knows better which answer belongs to which question",
    "It knows less well which answer belongs to which question",
    share=False,
)


@dataclass(frozen=True)
class Pair:
    """An answer after its own question and after another's, of which only the last answer counts."""

    example: Example
    own: Encoded
    other: Encoded


def measure(judging: Judging) -> Measured:
    """Loss after another question minus loss after its own, per answer, without and with the adapter."""
    found, known = encoded(judging), readings(judging)
    known.read(
        [row for pair in found for row in (pair.own, pair.other)],
        stop=judging.stop,
        tell=lambda fraction: judging.note("measuring: which answer belongs to which question", fraction),
    )
    rows = [_row(pair, told) for pair in found if (told := _advantages(known, pair))]
    if not rows:
        return Measured((), [])
    base, adapter, counts = ([float(row[name]) for row in rows] for name in ("before_advantage", "after_advantage", "tokens"))
    before, after = ([value * n for value, n in zip(values, counts, strict=True)] for values in (base, adapter))
    return Measured((TRAIT.score(before, after, counts),), rows)


def encoded(judging: Judging) -> list[Pair]:
    """The pairs as tokens, without those that are cut."""
    session = judging.session
    chosen = [session.heldout_examples[i] for i in spread(len(session.heldout_examples), MOST_ROWS)]
    own, other = pairs([e for e in chosen if e.messages and asked(e)[1]])
    length = int(getattr(judging.plan, "max_length", 512))
    matched, mixed = (session.encoder.many(examples, length, "replies") for examples in (own, other))
    whole = [i for i, (a, b) in enumerate(zip(matched, mixed, strict=True)) if not (a.truncated or b.truncated) and any(a.learned)]
    return [Pair(own[i], _last_answer(matched[i]), _last_answer(mixed[i])) for i in whole]


def pairs(examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Examples up to their last answer, and the same answers after another example's question (never one with the same answer)."""
    ends = [(asked(e)[0], asked(e)[1]) for e in examples]
    order = np.random.default_rng(SEED).permutation(len(ends))
    own: list[Example] = []
    other: list[Example] = []
    for place, i in enumerate(order):
        prompt, reply = ends[i]
        ring = (ends[order[(place + step) % len(order)]] for step in range(1, len(order)))
        stranger = next((p for p, r in ring if r != reply and p != prompt), None)
        if stranger is not None and not isinstance(prompt, str) and not isinstance(stranger, str):
            said = Message(role="assistant", content=reply)
            own.append(Example(row=examples[i].row, messages=(*prompt, said)))
            other.append(Example(row=examples[i].row, messages=(*stranger, said)))
    return own, other


def _row(pair: Pair, told: dict[str, float]) -> dict[str, Any]:
    return {"row": pair.example.row, "answer": shorten(pair.example.messages[-1].content)} | told


def _advantages(known: Readings, pair: Pair) -> dict[str, float]:
    """By how much the own question helps more, in nats per token, and the number of tokens; nothing where some of it was not read."""
    found: dict[str, float] = {}
    for name, on in (("before", False), ("after", True)):
        mine, theirs = known.loss(pair.own, adapter=on), known.loss(pair.other, adapter=on)
        if mine is None or theirs is None:
            return {}
        found |= {f"{name}_advantage": theirs[0] / max(1, theirs[1]) - mine[0] / max(1, mine[1]), "tokens": mine[1]}
    return found


def _last_answer(row: Encoded) -> Encoded:
    """A row of which only the last learned stretch counts."""
    end = max(i for i, learned in enumerate(row.learned) if learned)
    start = end
    while start and row.learned[start - 1]:
        start -= 1
    return replace(row, learned=[start <= i <= end for i in range(len(row.learned))])


def accepts(examples: Sequence[Example]) -> bool:
    """Conversations whose questions differ."""
    questions = [str(asked(e)[0]) for e in examples if e.messages]
    return bool(questions) and len(set(questions)) > DISTINCT * len(questions)


EVALUATION = Evaluation(name="question_fit", label="Which answer belongs to which question", tasks=TEXT, accepts=accepts, measure=measure)
