"""Owns the measure for sorting tasks: how often the model writes exactly the right label, without and with the adapter.

Invariant: an answer counts only as a whole (“card” is not “card lost”); base and adapter answer the same examples in the same process.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import Any

from loralab.core.records import Example, Score
from loralab.core.words import count
from loralab.evaluations import Evaluation, Judging, Measured
from loralab.evaluations.shared.choices import labels_of
from loralab.evaluations.shared.paired import FEWEST, SURE, paired_difference
from loralab.evaluations.text import TEXT
from loralab.evaluations.text._label_set import confusion, false_positives, macro_f1

CHOICE_HELP = "How often the right label comes first when the model may write nothing but one of the labels in your file."
HELP = "How often the answer is exactly the right label and nothing else; capitals and a closing full stop do not matter."


def measure(judging: Judging) -> Measured:
    """Share of exactly right labels as a Score named `label_accuracy`; the verdict is McNemar's exact test on the pairs that differ.

    Beside it, the same when only known labels may be written, with macro-F1, the confusion table and false positives per label.
    """
    found = rows(judging)
    written = summarise([r["before_right"] for r in found], [r["after_right"] for r in found])
    chosen = [row for row in found if row["before_choice"] is not None and row["after_choice"] is not None]
    if not chosen:
        return Measured((written,), found)
    labels = labels_of(judging.session.train_examples, judging.session.heldout_examples)
    wanted = [normalised(r["label"]) for r in chosen]
    base, adapter = ([normalised(r[f"{who}_choice"]) for r in chosen] for who in ("before", "after"))
    among = summarise([w == b for w, b in zip(wanted, base, strict=True)], [w == a for w, a in zip(wanted, adapter, strict=True)])
    words = f"When it may only choose among the {len(labels)} labels, {among.words[0].lower()}{among.words[1:]}"
    among = among.model_copy(update={"name": "label_choice", "label": "Right among the known labels", "help": CHOICE_HELP, "words": words})
    tables = {
        "macro_f1": (macro_f1(wanted, base), macro_f1(wanted, adapter)),
        "confusion": {"before": confusion(wanted, base), "after": confusion(wanted, adapter)},
        "false_positives": {"before": false_positives(wanted, base), "after": false_positives(wanted, adapter)},
    }
    return Measured((written, among), found, tables)


def summarise(base: Sequence[bool], adapter: Sequence[bool]) -> Score:
    """Score of paired right/wrong answers."""
    n = len(base)
    found = paired_difference([float(b) for b in base], [float(a) for a in adapter], [1.0] * n)
    gained = sum(a and not b for b, a in zip(base, adapter, strict=True))
    lost = sum(b and not a for b, a in zip(base, adapter, strict=True))
    chance = mcnemar(gained, lost)
    judged = _verdict(n, gained, lost, chance)
    words = f"Of {count(n, 'message')} it never saw, it sorted {sum(adapter)} exactly right; the base model {sum(base)}."
    if judged == "cannot tell yet":
        words += " The difference could be chance."
    return Score(
        name="label_accuracy",
        before=found.before,
        after=found.after,
        n=n,
        difference=found.difference,
        low=max(-1.0, found.low),
        high=min(1.0, found.high),
        verdict=judged,
        words=words,
        label="Sorted exactly right",
        help=HELP,
        group="accuracy",
        share=True,
        p=chance,
        smallest=found.smallest,
        more_rows=found.more_rows,
    )


def rows(judging: Judging) -> list[dict[str, Any]]:
    """Per labelled example: row in the file, the right label, what base and adapter wrote and chose, and whether each was right."""
    found: list[dict[str, Any]] = []
    for answered in judging.answers():
        if answered.example.label is None:
            continue
        row: dict[str, Any] = {"row": answered.example.row, "label": answered.reference}
        for name, said in (("before", answered.before), ("after", answered.after)):
            right = normalised(said.text) == normalised(answered.reference)
            row |= {name: said.text, f"{name}_right": right, f"{name}_choice": said.choice}
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


def accepts(examples: Sequence[Example]) -> bool:
    """Text runs whose examples carry a label."""
    return any(example.label is not None for example in examples)


EVALUATION = Evaluation(
    name="label_accuracy", label="How often it sorts exactly right", tasks=TEXT, accepts=accepts, measure=measure, main=3
)
