"""Owns the data checks: one per file, found by discovery, run in name order. Checks are pure: they read examples and say what they see.

To add one write `loralab/doctor/<name>.py` with a `CHECK` function from a Case to Problems; nothing else is edited.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loralab.core import plugins
from loralab.core.errors import Problem
from loralab.core.records import Example
from loralab.datasets.dataset import Loaded

Check = Callable[["Case"], list[Problem]]

_SOURCES = 1000  # examples that are asked for their files
_ORDER = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class Case:
    """What a check may look at."""

    examples: Sequence[Example]
    loaded: Loaded
    lengths: Sequence[int] = ()  # tokens of each example; empty when not measured
    everyone: Sequence[Example] = ()  # of a large file, of which `examples` are some; empty: they are all


def examine(case: Case) -> tuple[Problem, ...]:
    """All findings, the gravest first."""
    found = [problem for check in plugins.discover("loralab.datasets.checks", "CHECK").values() for problem in check(case)]
    return tuple(sorted(found, key=lambda problem: _ORDER.get(problem.severity, 3)))


def where(examples: Sequence[Example], limit: int = 5) -> str:
    """Where to look: “row 3”, “rows 3, 8 and 12”, “rows 3, 8, 12, 20, 31 and 40 more”."""
    many_files = len({example.source for example in examples[:_SOURCES]}) > 1
    names = [f"{example.row} of {example.source}" if many_files else str(example.row) for example in examples[:limit]]
    if len(examples) > limit:
        return f"rows {', '.join(names)} and {len(examples) - limit:,} more"
    return f"rows {', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else f"row {''.join(names)}"


def answer(example: Example) -> str:
    """The last answer of an example, or its text."""
    return example.messages[-1].said if example.messages else example.text


def asked(example: Example) -> str:
    """What is asked last, or the text that a class is given to."""
    return example.messages[-2].said if len(example.messages) > 1 else example.text


def everything(example: Example) -> str:
    """All words of an example."""
    return "\n".join(message.said for message in example.messages) if example.messages else example.text
