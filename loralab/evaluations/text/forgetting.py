"""Owns the measure of forgetting: what the adapter did to everyday tasks that have nothing to do with its examples.

Invariant: the same small set for every model and every run, never trained on; a small model that knew little has little to forget, and
the numbers then say that nothing can be told.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from loralab.core.paths import DATA
from loralab.core.records import Example, Message, Score
from loralab.core.words import count
from loralab.evaluations import Evaluation, Judging, Measured, switched
from loralab.evaluations.shared.answer_scores import Trait
from loralab.evaluations.shared.readings import micro_batches
from loralab.evaluations.text import TEXT

if TYPE_CHECKING:
    from torch import Tensor

    from loralab.models.tokenize import Encoded

MOST_BYTES = 32 * 2**20  # of expectations held at once, in fp32; four times as many are made of them
MUCH = 2.0  # nats per token: seven times less likely; what it knew is mostly gone
LOUD = 0.5  # nats per token: a word of the base's answer became 1.6 times less likely on average

DRIFT = Trait(
    "forgetting",
    "Forgot everyday things",
    "How surprised the model is by right answers to everyday tasks that have nothing to do with your examples (nats per token).",
    "forgetting",
    "It got better at everyday tasks, too",
    "It got worse at everyday tasks that have nothing to do with your examples",
    lower_is_better=True,
    share=False,
)


@lru_cache(maxsize=1)
def general_set() -> tuple[Example, ...]:
    """The bundled everyday tasks."""
    lines = (DATA / "general" / "general.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return tuple(
        Example(row=i, messages=(Message(role="user", content=r["prompt"]), Message(role="assistant", content=r["completion"])))
        for i, r in enumerate(rows, 1)
    )


def measure(judging: Judging) -> Measured:
    """Loss on the general set without and with the adapter, and how far their next-word distributions are apart."""
    session: Any = judging.session
    encoded = session.encoder.many(list(general_set()), 256, "replies")
    vocabulary = int(session.model.config.get_text_config().vocab_size)
    rows: list[dict[str, Any]] = []
    for part in micro_batches(session, encoded, targets=MOST_BYTES / (4 * vocabulary)):  # in the order of the set: it is of all kinds
        if rows and judging.stop():
            break
        judging.note("measuring: what it forgot", len(rows) / len(encoded))
        for i, told in zip(part, _compared(session, [encoded[i] for i in part]), strict=True):
            example = general_set()[i]
            rows.append({"row": example.row, "question": example.messages[0].content} | told)
    counts = [float(r["tokens"]) for r in rows]
    drift = DRIFT.score([r["before_loss"] * r["tokens"] for r in rows], [r["after_loss"] * r["tokens"] for r in rows], counts)
    divergence = sum(r["divergence"] * r["tokens"] for r in rows) / max(1.0, sum(counts))
    return Measured((_spoken(drift),), rows, {"divergence_from_base": divergence})


def _spoken(score: Score) -> Score:
    """A loss that is a little higher is what every adapter does; only a loud change is called worse."""
    if score.verdict == "worse" and score.difference < LOUD:
        words = f"It changed a little on everyday tasks ({score.before:.2f} → {score.after:.2f}, {count(score.n, 'task')})."
        return score.model_copy(update={"verdict": "no difference seen", "words": words})
    return score.model_copy(update={"words": score.words.replace("answers)", "tasks)")})


def _compared(session: Any, rows: Sequence[Encoded]) -> list[dict[str, float]]:
    """Of each row, per token: its loss without and with the adapter, and the divergence of what they expect, in nats."""
    import torch

    batch = session.batch(rows, range(len(rows)), [Example(row=0)] * len(rows))
    ids, learned = batch.tensors["ids"], batch.tensors["learned"]
    counts = learned[:, 1:].sum(1).tolist()
    with torch.no_grad():  # memory by hand stays, and what inference mode makes could not be written to later
        before, after = (_log_shares(session, ids, learned, adapter=on) for on in (False, True))
        targets = ids[:, 1:][learned[:, 1:]][:, None]
        divergence = (before.exp() * (before - after)).sum(1)
        told = (-before.gather(1, targets)[:, 0], -after.gather(1, targets)[:, 0], divergence)
    names = ("before_loss", "after_loss", "divergence")
    each = zip(*(values.split(counts) for values in told), strict=True)
    return [{"tokens": n} | {k: float(v.sum()) / n for k, v in zip(names, row, strict=True)} for n, row in zip(counts, each, strict=True)]


def _log_shares(session: Any, ids: Tensor, learned: Tensor, *, adapter: bool) -> Tensor:
    """Log-probabilities [n, V] in fp32 at the positions that predict the answers."""
    with switched(session.model, adapter=adapter):
        return session.head.logits(ids, learned).log_softmax(-1)


def accepts(examples: Sequence[Example]) -> bool:
    """Adapters that learned conversations: a model of plain text was never asked to answer."""
    return any(e.messages for e in examples)


EVALUATION = Evaluation(name="forgetting", label="What it forgot", tasks=TEXT, accepts=accepts, measure=measure)
