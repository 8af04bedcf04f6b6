"""Owns how similar two runs are: what a person would say makes one a guide to the other, as a number from 0 to 1.

likeness = model x data. Model: 1 for the same, 0.8 for the same architecture, 0.4 for another, the latter two shrunk by the ratio of
sizes (a fourfold size costs a factor e). Data: 1 for the same examples, otherwise 0.9, shrunk by the ratio of how many there are (ten
times as many cost a factor e) and of their length at the 95th percentile (four times as long cost one), and halved where they are of
another kind (texts, labels, conversations). Invariant: symmetric, and what is not known counts as unlike, never as alike.
"""

from __future__ import annotations

import math
from typing import Any

from loralab.core.paths import model_name as named
from loralab.core.records import Record
from loralab.datasets.run_facts import Facts
from loralab.history.record import Memory
from loralab.history.upkeep import shape, size

SAME_ARCHITECTURE, OTHER = 0.8, 0.4
NEW_DATA, OTHER_KIND = 0.9, 0.5
BY_SIZE, BY_COUNT, BY_LENGTH = 4.0, 10.0, 4.0  # ratios that cost a factor e
UNKNOWN = math.exp(-1.0)


class Similar(Record):
    """A past run, how similar it is, and in which way."""

    memory: Memory
    likeness: float
    words: str  # “same model, other examples of about the same number and length”


def likeness(facts: Facts, model: str, row: dict[str, Any]) -> float:
    """How much a past run (a row of `memories`) says about one with these facts."""
    return _of_model(facts, model, row) * _of_data(facts, row)


def words(facts: Facts, model: str, row: dict[str, Any]) -> str:
    """In which way a past run is similar."""
    same, related = row["model"] == named(model), bool(facts.architecture) and row["architecture"] == facts.architecture
    of_model = "same model" if same else "a model of the same kind" if related else "another model"
    if facts.data and row["data"] == facts.data:
        return f"{of_model}, the same examples"
    near = _near(facts.n_train, row["examples"], 3.0) > UNKNOWN and _near(_length(facts), row["length"], 3.0) > UNKNOWN
    kind = shape(facts) == row["shape"]
    of_data = "similar examples" if near and kind else "examples of the same kind, more or fewer, longer or shorter" if kind else ""
    return f"{of_model}, {of_data or 'other examples'}"


def _of_model(facts: Facts, model: str, row: dict[str, Any]) -> float:
    if row["model"] == named(model):
        return 1.0
    related = bool(facts.architecture) and row["architecture"] == facts.architecture
    return (SAME_ARCHITECTURE if related else OTHER) * _near(size(facts), row["size"], BY_SIZE)


def _of_data(facts: Facts, row: dict[str, Any]) -> float:
    if facts.data and row["data"] == facts.data:
        return 1.0
    near = _near(facts.n_train, row["examples"], BY_COUNT) * _near(_length(facts), row["length"], BY_LENGTH)
    return NEW_DATA * near * (1.0 if row["shape"] == shape(facts) else OTHER_KIND)


def _length(facts: Facts) -> int:
    return facts.tokens.get("p95", 0)


def _near(one: float, other: float, ratio: float) -> float:
    """1 for equal, e^-1 where one is `ratio` times the other; e^-1 where one is not known."""
    return math.exp(-abs(math.log(one / other)) / math.log(ratio)) if one > 0 and other > 0 else UNKNOWN
