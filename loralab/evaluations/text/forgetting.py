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
from loralab.evaluations.text import TEXT

if TYPE_CHECKING:
    from torch import Tensor

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
    session = judging.session
    encoded = session.encoder.many(list(general_set()), 256, "replies")
    rows: list[dict[str, Any]] = []
    for number, (row, example) in enumerate(zip(encoded, general_set(), strict=True)):
        if rows and judging.stop():
            break
        judging.note("measuring: what it forgot", number / len(encoded))
        before, after = _log_shares(session, row, adapter=False), _log_shares(session, row, adapter=True)
        targets = _targets(row).to(before.device)
        n = len(targets)
        rows.append(
            {
                "row": example.row,
                "question": example.messages[0].content,
                "tokens": n,
                "before_loss": -float(before.gather(1, targets[:, None]).sum()) / n,
                "after_loss": -float(after.gather(1, targets[:, None]).sum()) / n,
                "divergence": float((before.exp() * (before - after)).sum()) / n,
            }
        )
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


def _targets(row: Any) -> Tensor:
    import torch

    return torch.tensor([token for token, learned in zip(row.ids[1:], row.learned[1:], strict=True) if learned])


def _log_shares(session: Any, row: Any, *, adapter: bool) -> Tensor:
    """Log-probabilities [targets, V] in fp32 at the positions that predict the answer."""
    import torch

    with torch.inference_mode(), switched(session.model, adapter=adapter):
        ids = torch.tensor([row.ids], device=next(session.model.parameters()).device)
        logits = session.model(input_ids=ids, use_cache=False).logits[0, :-1].float()
        return logits[torch.tensor(row.learned[1:], device=ids.device)].log_softmax(-1)


def accepts(examples: Sequence[Example]) -> bool:
    """Adapters that learned conversations: a model of plain text was never asked to answer."""
    return any(e.messages for e in examples)


EVALUATION = Evaluation(name="forgetting", label="What it forgot", tasks=TEXT, accepts=accepts, measure=measure)
