"""The plan as a person sees it: the bar that follows every setting, plans that do not fit with two that do, late answers dropped."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from loralab.core.paths import CHECKOUT
from loralab.setup.opened import opens
from tests.conftest import until
from tests.ui.test_browser import DRIVEN, SECRET, SOON, Window, browser, window

__all__ = ["browser", "window"]
pytestmark = [*DRIVEN, pytest.mark.browser, pytest.mark.nightly]

# The app on a computer with little memory free, whose trace of the plan with rank 17 comes late.
CRAMPED = """
import sys, time
from loralab import lab
from loralab.lab import workspace
real, trace = workspace.measure_machine, lab.Lab.trace
workspace.measure_machine = lambda home: real(home).model_copy(update={"memory_free": 750_000_000, "gpus": (), "torch_cuda": ""})
def late(self, shown, profile=None):
    found = trace(self, shown, profile)
    time.sleep(5 if shown.plan["rank"] == 17 else 0)
    return found
lab.Lab.trace = late
from ui.app import main
main(sys.argv[1:])
"""


@pytest.fixture
def app(home: Path) -> Iterator[tuple[str, psutil.Process]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (home / "app.out").open("wb") as out:
        command = [sys.executable, "-c", CRAMPED, "--port", str(port), "--home", str(home)]
        child = subprocess.Popen(command, cwd=CHECKOUT, stdout=out, stderr=out, env=os.environ | {"LORALAB_SECRET": SECRET})
    link = f"http://127.0.0.1:{port}/?key={SECRET}"
    try:
        until(lambda: child.poll() is not None or opens(link))
        assert child.poll() is None, (home / "app.out").read_text("utf-8")
        yield link, psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait(20)


def plan_of(shown: Window) -> None:
    """Take a sample and open its plan, with the adapter's settings unfolded."""
    shown.page.get_by_role("button", name="Note down table bookings").click()
    shown.sees("#rows", "The first examples")
    shown.tab("Plan")
    shown.sees("#fit", "Traced: one step was gone through")
    shown.page.get_by_role("button", name="The adapter").click()


def set_rank(shown: Window, rank: int) -> None:
    box = shown.page.get_by_label("Rank", exact=True)
    box.fill(str(rank))
    box.press("Enter")


def width_of(shown: Window, part: str) -> float:
    """Share of the bar a part takes, in per cent, as it is drawn."""
    names = shown.page.locator("#fit .keys li").all_inner_texts()
    at = next(n for n, words in enumerate(names) if part in words)
    style = shown.page.locator("#fit .bar .part").nth(at).get_attribute("style")
    return float(style.removeprefix("width:").rstrip("%;"))


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_the_bar_follows_a_setting_and_what_does_not_fit_has_a_way_out(window, width, height):
    shown = window(width, height)
    if width < 1000:
        until(lambda: shown.page.locator("#side.open").count() == 0)
    plan_of(shown)
    small = width_of(shown, "the adapter")
    set_rank(shown, 32)
    until(lambda: width_of(shown, "the adapter") > 1.5 * small)
    assert not shown.page.locator(".way").first.is_visible()

    set_rank(shown, 128)
    shown.sees("#fit .notice.error", "These fit:")
    shown.sees("#fit", "does not fit")
    ways = shown.page.locator("button.way:visible")
    until(lambda: ways.count() == 2)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= width for box in (way.bounding_box() for way in ways.all()))
    ways.first.click()
    until(lambda: shown.page.locator("#fit .notice.error").count() == 0)
    until(lambda: shown.page.locator("button.way:visible").count() == 0)
    assert shown.page.get_by_label("Rank", exact=True).input_value() == "128", "what the person fixed stays"
    reason = shown.page.locator("#fit .reasons td:last-child").first.bounding_box()
    assert reason
    assert reason["x"] + reason["width"] <= width
    assert reason["width"] > width / 3, "a reason is a line to read, not a column of single words"


def test_the_answer_about_an_older_plan_is_dropped(window):
    shown = window()
    plan_of(shown)
    shown.page.evaluate(
        """window.seen = []; new MutationObserver(() => {
             const row = [...document.querySelectorAll('#fit .reasons tr')].find(r => r.innerText.includes('Size of the adapter'));
             const stage = document.querySelector('#fit .stage');
             if (row && stage) { const now = row.querySelector('b').innerText + ' ' + stage.innerText.slice(0, 6);
               if (window.seen.at(-1) !== now) window.seen.push(now); }
           }).observe(document.querySelector('#fit').parentElement, {subtree: true, childList: true, characterData: true})"""
    )
    set_rank(shown, 17)
    until(lambda: shown.page.evaluate("window.seen.some(s => s.startsWith('17 '))"))
    set_rank(shown, 18)
    until(lambda: shown.page.evaluate("window.seen.includes('18 Traced')"), SOON / 1000)
    seen = shown.page.evaluate("window.seen")
    assert "17 Traced" not in seen, seen
    assert not any(state.startswith("17 ") for state in seen[seen.index(next(s for s in seen if s.startswith("18 "))) :]), seen


def test_what_draws_is_planned_chosen_and_can_be_fetched(window):
    shown = window()
    shown.page.get_by_role("button", name="Draw with ink and candy").click()
    shown.page.locator("#start-here:enabled").wait_for(timeout=SOON)
    shown.tab("Plan")
    shown.sees("#fit", "Trigger word")
    shown.sees("#model-cards [aria-pressed=true]", "Starter that draws")
    assert not shown.page.locator("#get-model").is_visible()
    shown.page.locator("#model-cards .sample", has_text="Stable Diffusion 1.5").click()
    shown.sees("#model-cards [aria-pressed=true]", "Stable Diffusion 1.5")
    shown.sees("#about-model", "A download of 2.1 GB")
    shown.sees("#get-model", "Fetch this model")
    shown.page.locator("#model-cards .sample", has_text="Starter that draws").click()
    shown.sees("#about-model", "Starter that draws can be trained")
    until(lambda: shown.page.locator("#start-plan").is_enabled())
    assert shown.page.locator(".said").count() == 0
