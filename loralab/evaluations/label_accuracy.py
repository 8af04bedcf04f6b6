"""Owns the measure for sorting tasks: how often the model writes exactly the right label, without and with the adapter.

Invariant: an answer counts only as a whole (“card” is not “card lost”); base and adapter answer the same examples in the same process.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import Any

from loralab.evaluations import Evaluation, Judged, Measured, switched
from loralab.evaluations._paired import FEWEST, paired_difference, spread
from loralab.evaluations.side_by_side import asked
from loralab.records import Example, Plan, Score

MOST_ROWS = 200  # each is two generations
SURE = 0.05


def measure(session: Judged) -> Measured:
    """Share of exactly right labels as a Score named `label_accuracy`; the verdict is McNemar's exact test on the pairs that differ."""
    found = rows(session)
    return Measured((summarise([r["base_right"] for r in found], [r["adapter_right"] for r in found]),), found)


def summarise(base: Sequence[bool], adapter: Sequence[bool]) -> Score:
    """Score of paired right/wrong answers."""
    n = len(base)
    difference = paired_difference([float(b) for b in base], [float(a) for a in adapter], [1.0] * n)
    gained = sum(a and not b for b, a in zip(base, adapter, strict=True))
    lost = sum(b and not a for b, a in zip(base, adapter, strict=True))
    judged = _verdict(n, gained, lost)
    words = f"Of {n} messages it never saw, it sorted {sum(adapter)} exactly right; the base model {sum(base)}."
    if judged == "cannot tell yet":
        words += " The difference could be chance; more examples would tell."
    return Score(
        name="label_accuracy", base=difference.base, adapter=difference.adapter, n=n, difference=difference.difference,
        low=max(-1.0, difference.low), high=min(1.0, difference.high), verdict=judged, words=words,
    )  # fmt: skip


def rows(session: Judged) -> list[dict[str, Any]]:
    """Per example: row in the file, the right label, what base and adapter wrote, and whether each was right."""
    from loralab.serve.generate import answer

    labelled = [example for example in session.heldout_examples if example.label is not None]
    found: list[dict[str, Any]] = []
    for example in (labelled[i] for i in spread(len(labelled), MOST_ROWS)):
        prompt, right = asked(example)
        size = 2 * len(session.encoder.text_ids(right)) + 4  # a longer answer is wrong however it goes on
        row: dict[str, Any] = {"row": example.row, "label": right}
        for name, on in (("base", False), ("adapter", True)):
            with switched(session.model, adapter=on):
                text, row[f"{name}_active"] = answer(session.model, session.encoder, prompt, size)
            row |= {name: text, f"{name}_right": normalised(text) == normalised(right)}
        found.append(row)
    return found


def normalised(text: str) -> str:
    """Case, outer spaces and a closing full stop do not make a label wrong."""
    return " ".join(text.lower().split()).strip(" .\"'")


def _verdict(n: int, gained: int, lost: int) -> str:
    changed = gained + lost
    if n < FEWEST:
        return "cannot tell yet"
    if changed == 0:
        return "no difference seen"
    # exact two-sided McNemar: under “no difference” each changed answer is a fair coin
    tail = sum(comb(changed, k) for k in range(min(gained, lost) + 1)) / 2**changed
    if min(1.0, 2 * tail) < SURE:
        return "better" if gained > lost else "worse"
    return "cannot tell yet"


def accepts(plan: Plan, examples: Sequence[Example]) -> bool:
    """Text runs whose examples carry a label."""
    return plan.task == "text" and any(example.label is not None for example in examples)


EVALUATION = Evaluation(name="label_accuracy", label="How often it sorts exactly right", accepts=accepts, measure=measure)
