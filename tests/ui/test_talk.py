"""The chat's two sides: what both answers yield as it comes, and what one of them raises."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from loralab.core.errors import RunFailed
from ui.tabs.evaluate.chat import beside


def test_two_sides_grow_together_and_not_one_after_the_other() -> None:
    """Each side waits for the other's piece: one after the other would never end."""
    met = threading.Barrier(2, timeout=10)

    def side(name: str) -> Iterator[str]:
        for i in range(3):
            met.wait()
            yield f"{name}{i}"

    updates = list(beside(side("b"), side("a")))
    for which, name in enumerate("ba"):
        assert [u[which] for u in updates if isinstance(u[which], str)][-1] == f"{name}2"


def test_what_one_side_raises_does_not_lose_the_other() -> None:
    def broken() -> Iterator[str]:
        yield "half"
        raise RunFailed("The answer broke off.")

    seen: list[object] = []
    with pytest.raises(RunFailed, match="broke off"):
        seen.extend(update[1] for update in beside(broken(), iter(["a", "ab", "abc"])))
    assert "abc" in seen


def test_a_listener_who_leaves_stops_the_sides() -> None:
    taken = []

    def endless() -> Iterator[int]:
        for i in range(10**9):
            taken.append(i)
            yield i

    updates = beside(endless(), iter(()))
    next(updates)
    updates.close()  # type: ignore[attr-defined]
    threading.Event().wait(0.2)
    before = len(taken)
    threading.Event().wait(0.2)
    assert len(taken) == before
