"""Runs that were lost, that wait, or that had trouble, as a person meets them in a real browser."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest

from loralab.core.events import Ended
from loralab.runs import queue, runs
from tests.conftest import ended, ending, until, worker_of
from tests.ui.test_browser import DRIVEN, SOON, app, browser, window

__all__ = ["app", "browser", "window"]
pytestmark = [*DRIVEN, pytest.mark.browser, pytest.mark.nightly]


def lose(home: Path, run: str) -> Ended:
    """As in a power cut: keeper and worker are gone in one moment."""
    until(lambda: runs.view(home, run).step == 2)
    keeper = psutil.Process(worker_of(home, run).pid)
    victims = [keeper, *keeper.children(recursive=True)]
    for victim in victims:
        victim.kill()
    psutil.wait_procs(victims, timeout=10)
    return ending(home, run)


HANGS = {"breaks": "hang", "breaks_at": 3, "max_steps": 8, "saves_every": 1}


def test_a_lost_run_greets_the_next_start_and_goes_on_with_one_key(fake, window, home):
    run = fake(title="Sort <b>letters</b>", **HANGS)
    assert lose(home, run).code == "worker_gone"
    shown = window()
    shown.sees("#greeting", "Welcome back. “Sort <b>letters</b>” was interrupted")
    shown.sees("#greeting", "It had made 2 of 8 updates (25%)")
    assert shown.page.get_by_role("tab", name="Dataset").get_attribute("aria-selected") == "true"
    for _ in range(60):
        shown.page.keyboard.press("Tab")
        if shown.page.evaluate("document.activeElement.id") == "go-on":
            break
    else:
        pytest.fail("the button cannot be reached with the keyboard")
    shown.page.keyboard.press("Enter")
    until(lambda: shown.page.get_by_role("tab", name="Train").get_attribute("aria-selected") == "true")
    until(lambda: runs.view(home, run).state == "running")
    assert runs.list_runs(home) == [run], "the same run goes on, no second one is made"
    shown.page.locator("#greeting").wait_for(state="hidden", timeout=SOON)


def test_not_now_is_remembered_until_a_run_is_lost_again(fake, window, home):
    run = fake(title="Poems", **HANGS)
    lose(home, run)
    shown = window()
    shown.sees("#greeting", "“Poems” was interrupted")
    shown.page.locator("#not-now").click()
    shown.page.locator("#greeting").wait_for(state="hidden", timeout=SOON)
    assert json.loads((home / "settings.json").read_text("utf-8"))["put_off"]
    again = window()
    again.sees("#runs", "Interrupted")
    assert not again.page.locator("#greeting").is_visible()
    runs.resume(home, run)
    until(lambda: runs.view(home, run).active)
    lose(home, run)
    window().sees("#greeting", "“Poems” was interrupted")


def test_waiting_runs_are_in_line_and_can_be_moved_and_taken_out(fake, window, home):
    first = fake(title="First", **HANGS)
    second, third = fake(title="Second"), fake(title="Third")
    shown = window()
    order = shown.page.locator("#runs .turn b")
    until(lambda: order.all_inner_texts() == ["Second", "Third"])
    shown.page.get_by_role("button", name="Later: Second").click()
    until(lambda: order.all_inner_texts() == ["Third", "Second"])
    assert [turn.run for turn in queue.listed(home)] == [first, third, second]

    chosen = shown.page.locator("#runs .turn .run", has_text="Second")
    until(lambda: chosen.click() or "run=" + second in shown.page.url)  # the list is drawn anew just then, which may take a click with it
    shown.sees("#live", "Waiting for its turn")
    shown.sees("#live", "“First” is learning now. 1 run will come before this one.")
    out = shown.page.get_by_role("button", name="Take out of the queue: Third")
    until(lambda: out.evaluate_all("them => them.forEach((it) => it.click())") or runs.view(home, third).state == "stopped")
    shown.sees("#live", "This run is next.")
    shown.page.get_by_role("button", name="Take out of the queue", exact=True).click()
    shown.sees("#live", "taken out of the queue before its turn came")
    assert [turn.run for turn in queue.listed(home)] == [first]

    shown.tab("Dataset")
    shown.page.get_by_role("button", name="Sort customer messages").click()
    shown.sees("#rows", "The first examples")
    shown.page.locator("#start-here").click()
    shown.sees(".toast-body", "This one waits for its turn and begins by itself.")
    shown.sees("#live", "“First” is learning now. This run is next.")
    runs.unqueue(home, queue.listed(home)[1].run)  # a worker that trains is no part of this test


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_trouble_is_marked_on_the_line_and_says_what_was_done(fake, window, home, width, height):
    run = fake(title="Short of memory", breaks="starve", breaks_at=3, breaks_above=50, max_steps=8, saves_every=1)
    assert ended(home, run).state == "finished"
    shown = window(width, height)
    shown.page.locator("#runs [aria-current]").wait_for(state="attached", timeout=SOON)  # the page has turned to where it was
    shown.tab("Train")
    shown.sees("#story", "Fewer tokens at once (no limit → 50). There was not enough memory")
    shown.sees(".legend", "memory ran out")
    curve = shown.page.locator("#curve")
    curve.scroll_into_view_if_needed()
    spot = until(lambda: shown.page.evaluate("document.querySelector('#curve').shown?.spots[0]?.x"))
    curve.hover(position={"x": spot, "y": 100})
    shown.sees("#curve .curve-tip", "→ Fewer tokens at once")
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
