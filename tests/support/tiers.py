"""Owns the three sizes of the suite, which `--tier` chooses. Invariant: what a smaller one leaves out, a larger one has.

unit     pure functions, no process, no training: after every save (`make check`)
test     unit and what is marked `worker`: real processes, real runtimes, real trainings (`make test`)
nightly  everything: also what is marked `nightly`, and every browser journey; CI leaves out what is marked `long` of it
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

TIERS = {"unit": ("worker", "nightly", "browser", "long"), "test": ("nightly", "long"), "nightly": ()}  # tier -> the marks it leaves out
SLOWEST = ("browser", "nightly", "worker")


def add_option(parser: pytest.Parser) -> None:
    parser.addoption("--tier", choices=tuple(TIERS), default="nightly", help="how much of the suite: unit, test or nightly (everything)")


@cache
def _marks(path: Path) -> frozenset[str]:
    """The marks of a whole file, read without importing it: what it imports at its top may take longer than its tests."""
    found = re.search(r"^pytestmark = (.*?)(?=^\S)", path.read_text("utf-8") + "\n.", re.MULTILINE | re.DOTALL)
    return frozenset(re.findall(r"\bmark\.(\w+)", found[0])) if found else frozenset()


def left_out(path: Path, config: pytest.Config) -> bool | None:
    """Whether a file is not even imported in the chosen tier; None leaves the question to others."""
    if path.suffix != ".py" or not path.name.startswith("test_"):
        return None
    return True if _marks(path) & set(TIERS[str(config.getoption("--tier"))]) else None


def keep(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Only the tests of the chosen tier stay in `items`; files that take long come first, so that two processes end together."""
    out = TIERS[str(config.getoption("--tier"))]
    dropped = [item for item in items if any(item.get_closest_marker(mark) for mark in out)]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if not any(item.get_closest_marker(mark) for mark in out)]
    items.sort(key=lambda item: next((place for place, mark in enumerate(SLOWEST) if mark in _marks(item.path)), len(SLOWEST)))


def grid(values: Iterable[Any], daily: Collection[Any], others: str = "nightly") -> list[Any]:
    """Parameters of a long grid: those in `daily` before each merge, the others at night (`others`: by which mark)."""
    return [value if value in daily else pytest.param(value, marks=getattr(pytest.mark, others)) for value in values]
