"""Owns the measure for preferences: in how many pairs of answers the chosen one is the likelier, without and with the adapter.

Invariant: likelihoods are per token, so that a short answer is not preferred for being short; both come from the same process.
"""

from __future__ import annotations

from collections.abc import Sequence

from loralab.core.records import Example, Score
from loralab.core.words import count
from loralab.datasets.dataset import spread
from loralab.evaluations import Evaluation, Judging, Measured
from loralab.evaluations.shared.answer_scores import Trait
from loralab.evaluations.shared.readings import BOTH, Readings, readings
from loralab.evaluations.shared.shares import between
from loralab.models.tokenize import Encoded

PAIRS = frozenset({"preference"})  # the tasks it means something for
MOST_PAIRS = 256  # more narrow the interval by little and cost four passes each
TRAIT = Trait(
    "preference",
    "Prefers the chosen answer",
    "In how many pairs of answers it never saw the chosen one is the likelier for it, word for word.",
    "accuracy",
    "It prefers the chosen answer more often",
    "It prefers the chosen answer less often",
)


def measure(judging: Judging) -> Measured:
    """Share of held-out pairs in which the chosen answer is the likelier, as a Score named `preference`, and each pair."""
    session, plan = judging.session, judging.plan
    chosen = spread(len(session.heldout_examples), MOST_PAIRS)
    turned = [_turned(session.heldout_examples[i]) for i in chosen]
    others = session.encoder.many(turned, getattr(plan, "max_length", 1024), getattr(plan, "learn_from", "replies"))
    known, own = readings(judging), [session.heldout_rows[i] for i in chosen]
    known.read([*own, *others], stop=judging.stop, tell=lambda fraction: judging.note("comparing chosen and rejected answers", fraction))
    rows: list[dict[str, float]] = []
    for i, mine, other in zip(chosen, own, others, strict=True):
        leaning = [_leaning(known, mine, other, adapter=on) for on in BOTH]
        if None not in leaning:
            rows.append({"row": session.heldout_examples[i].row, "before": leaning[0] or 0.0, "after": leaning[1] or 0.0})
    return Measured((summarise([row["before"] > 0 for row in rows], [row["after"] > 0 for row in rows]),), rows)


def _turned(example: Example) -> Example:
    """The example as if the answer that was not chosen were its own."""
    return example.model_copy(update={"messages": example.rejected, "rejected": ()})


def _leaning(known: Readings, own: Encoded, other: Encoded, *, adapter: bool) -> float | None:
    """How much more the other answer surprises than the chosen one, in nats per learned token; None where one was not read."""
    mine, theirs = known.loss(own, adapter=adapter), known.loss(other, adapter=adapter)
    return None if mine is None or theirs is None else theirs[0] / max(1, theirs[1]) - mine[0] / max(1, mine[1])


def summarise(before: Sequence[bool], after: Sequence[bool]) -> Score:
    """Score of paired preferences, with the interval in words."""
    score = TRAIT.score([float(b) for b in before], [float(a) for a in after])
    low, high = between(sum(after), len(after))
    told = f"Of {count(len(after), 'pair')} it never saw, it prefers the chosen answer in {sum(after)}. Before: {sum(before)}."
    words = f"{told} Of 100 new ones, expect {100 * low:.0f} to {100 * high:.0f}."
    return score.model_copy(update={"words": f"{words} That could be chance." if score.verdict == "cannot tell yet" else words})


def accepts(examples: Sequence[Example]) -> bool:
    """Examples that all have both answers."""
    return bool(examples) and all(example.rejected for example in examples)


EVALUATION = Evaluation(name="preference", label="Which answer it prefers", tasks=PAIRS, accepts=accepts, measure=measure, main=4)
