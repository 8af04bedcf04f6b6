"""Owns the measure for sorting tasks: how often the model writes exactly the right label, without and with the adapter.

Invariant: an answer counts only as a whole (“card” is not “card lost”); base and adapter answer the same examples in the same process.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import Any

from loralab.evaluations import Evaluation, Judging, Measured
from loralab.evaluations._paired import FEWEST, SURE, paired_difference
from loralab.records import Example, Plan, Score

HELP = "How often the answer is exactly the right label and nothing else; capitals and a closing full stop do not matter."


def measure(judging: Judging) -> Measured:
    """Share of exactly right labels as a Score named `label_accuracy`; the verdict is McNemar's exact test on the pairs that differ."""
    found = rows(judging)
    return Measured((summarise([r["base_right"] for r in found], [r["adapter_right"] for r in found]),), found)


def summarise(base: Sequence[bool], adapter: Sequence[bool]) -> Score:
    """Score of paired right/wrong answers."""
    n = len(base)
    found = paired_difference([float(b) for b in base], [float(a) for a in adapter], [1.0] * n)
    gained = sum(a and not b for b, a in zip(base, adapter, strict=True))
    lost = sum(b and not a for b, a in zip(base, adapter, strict=True))
    chance = mcnemar(gained, lost)
    judged = _verdict(n, gained, lost, chance)
    words = f"Of {n} messages it never saw, it sorted {sum(adapter)} exactly right; the base model {sum(base)}."
    if judged == "cannot tell yet":
        words += " The difference could be chance."
    return Score(
        name="label_accuracy", base=found.base, adapter=found.adapter, n=n, difference=found.difference,
        low=max(-1.0, found.low), high=min(1.0, found.high), verdict=judged, words=words, label="Sorted exactly right", help=HELP,
        group="accuracy", share=True, p=chance, smallest=found.smallest, more_rows=found.more_rows,
    )  # fmt: skip


def rows(judging: Judging) -> list[dict[str, Any]]:
    """Per labelled example: row in the file, the right label, what base and adapter wrote, and whether each was right."""
    found: list[dict[str, Any]] = []
    for answered in judging.answers():
        if answered.example.label is None:
            continue
        row: dict[str, Any] = {"row": answered.example.row, "label": answered.reference}
        for name, said in (("base", answered.base), ("adapter", answered.adapter)):
            row |= {name: said.text, f"{name}_right": normalised(said.text) == normalised(answered.reference)}
        found.append(row)
    return found


def normalised(text: str) -> str:
    """Case, outer spaces and a closing full stop do not make a label wrong."""
    return " ".join(text.lower().split()).strip(" .\"'")


def mcnemar(gained: int, lost: int) -> float:
    """Exact two-sided chance of so uneven a change (McNemar 1947): under “no difference” each changed answer is a fair coin."""
    changed = gained + lost
    tail = sum(comb(changed, k) for k in range(min(gained, lost) + 1)) / 2**changed
    return min(1.0, 2 * tail)


def _verdict(n: int, gained: int, lost: int, chance: float) -> str:
    if n < FEWEST:
        return "cannot tell yet"
    if gained + lost == 0:
        return "no difference seen"
    return ("better" if gained > lost else "worse") if chance < SURE else "cannot tell yet"


def accepts(plan: Plan, examples: Sequence[Example]) -> bool:
    """Text runs whose examples carry a label."""
    return plan.task == "text" and any(example.label is not None for example in examples)


EVALUATION = Evaluation(name="label_accuracy", label="How often it sorts exactly right", accepts=accepts, measure=measure, main=3)
