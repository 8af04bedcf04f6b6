"""A card that spills over into main memory: seen from time and readings put in, and never seen where there is nothing to see."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from loralab.core.events import Adjusted, Incident
from loralab.core.records import Plan
from loralab.train import windows_vram
from loralab.train.session import Batch
from loralab.train.state import OomState

GB = 2**30
FULL, FREE = (GB // 10, 8 * GB), (2 * GB, 8 * GB)  # bytes free and in all
USUAL = [(1.0, 0.001)] * 10


def batch(tokens: int = 1000, rows: int = 4) -> Batch:
    return Batch({}, tokens, tokens, tuple(range(rows)), (tokens // rows,) * rows)


class _Run:
    """What the watch needs of a run."""

    def __init__(self, **plan: Any) -> None:
        self.events: list[Any] = []
        self.folder = SimpleNamespace(emit=self.events.append)
        self.oom, self.plan, self.progress = OomState(), Plan(**plan), SimpleNamespace(step=0)

    @property
    def session(self) -> Any:
        return SimpleNamespace(unit="tokens", cost_limit=self.plan.token_budget, limit_cost=lambda cost: {"token_budget": cost})

    def update(self, seconds: float, card: tuple[int, int] | None, tokens: int = 1000) -> None:
        self.progress.step += 1
        windows_vram.watch(self, seconds, [batch(tokens)], card and (lambda: card))  # type: ignore[arg-type]

    def told(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def change(self, reason: str, **settings: Any) -> None:
        self.plan = self.plan.model_copy(update=settings)
        for name, value in settings.items():
            self.folder.emit(Adjusted(setting=name, after=value, reason=reason))


def test_a_crawl_on_a_full_card_lowers_the_budget_at_once_and_is_told_as_what_it_is() -> None:
    run = _Run()
    for _ in range(8):
        run.update(1.0, FULL)
    assert run.events == []
    run.update(6.0, FULL)
    [incident], [change] = run.told(Incident), run.told(Adjusted)
    assert incident.code == "memory_spill"
    assert "Windows" in incident.text
    assert "6.0 s instead of 1.0 s" in incident.text
    assert (change.setting, change.after, run.plan.token_budget) == ("token_budget", 800, 800)
    run.update(6.0, FULL)  # what is usual is learned anew
    assert len(run.told(Incident)) == 1


@pytest.mark.parametrize(
    ("seconds", "tokens", "card", "why"),
    [
        (6.0, 1000, FREE, "a busy computer: the card has room"),
        (2.9, 1000, FULL, "a little slower than usual"),
        (6.0, 6000, FULL, "a long example takes long"),
        (1.0, 100, FULL, "a short one is slow by the token"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_other_slow_updates_are_left_alone(seconds: float, tokens: int, card: tuple[int, int], why: str) -> None:
    run = _Run()
    for _ in range(8):
        run.update(1.0, FULL)
    run.update(seconds, card, tokens)
    assert run.events == [], why


def test_a_slow_start_says_nothing() -> None:
    assert not windows_vram.spilled((60.0, 0.06), USUAL[: windows_vram.ENOUGH - 1], FULL)
    assert windows_vram.spilled((60.0, 0.06), USUAL[: windows_vram.ENOUGH], FULL)


def test_an_update_done_twice_is_not_slow() -> None:
    run = _Run()
    for _ in range(8):
        run.update(1.0, FULL)
    run.oom.last = 9
    run.update(9.0, FULL)
    assert run.events == []


def test_only_windows_with_a_card_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not windows_vram.can_spill()  # no card here
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(windows_vram.platform, "release", lambda: "6.8.0-45-generic")
    assert not windows_vram.can_spill()
    monkeypatch.setattr(windows_vram.platform, "release", lambda: "5.15.153.1-microsoft-standard-WSL2")
    assert windows_vram.can_spill()
    monkeypatch.setattr(windows_vram.platform, "release", lambda: "11")
    monkeypatch.setattr(sys, "platform", "win32")
    assert windows_vram.can_spill()


def test_torch_is_bounded_by_what_is_free_less_a_reserve(monkeypatch: pytest.MonkeyPatch) -> None:
    assert windows_vram.allowed(free=6 * GB, total=8 * GB, held=GB) == pytest.approx(7 / 8 - windows_vram.KEPT_FREE)
    assert windows_vram.allowed(free=8 * GB, total=8 * GB, held=0) == pytest.approx(1 - windows_vram.KEPT_FREE)
    assert 0 < windows_vram.allowed(free=0, total=8 * GB, held=0) < 0.05
    bounds: list[float] = []
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", bounds.append)
    windows_vram.bound_card()
    assert bounds == []
    monkeypatch.setattr(windows_vram, "can_spill", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: FREE)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 4 * GB)
    windows_vram.bound_card()
    assert bounds == [pytest.approx(6 / 8 - windows_vram.KEPT_FREE)]
