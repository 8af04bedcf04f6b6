"""The frame of the page in a real browser: the tabs, the address, and what a page takes that nobody touches."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.conftest import until
from tests.support.judged_runs import judgement, write_run
from tests.ui.test_browser import DRIVEN, SOON, Window, app, browser, window

__all__ = ["app", "browser", "window"]
pytestmark = [*DRIVEN, pytest.mark.browser, pytest.mark.nightly]


def place(shown: Window) -> tuple[str, str]:
    """Tab and run as the address has them."""
    asked = parse_qs(urlsplit(shown.page.url).query)
    return asked.get("tab", [""])[0], asked.get("run", [""])[0]


def seen(shown: Window) -> list[str]:
    """The panels that can be seen: one."""
    return shown.page.locator(".tab-panel").evaluate_all("all => all.filter(it => it.offsetParent).map(it => it.id)")


def pick(shown: Window, run: str) -> None:
    shown.page.locator(f"#runs [data-pick='{run}']").click()
    shown.page.locator(f"#runs [data-pick='{run}'][aria-current]").wait_for(timeout=SOON)


def test_tab_and_run_are_in_the_address_and_survive_a_reload_the_way_back_and_a_second_window(window, home: Path):
    first = write_run(home, "first-run", judgement(), title="First try")
    second = write_run(home, "second-run", judgement(), title="Second try")
    shown = window()
    shown.page.locator("#runs [aria-current]").wait_for(timeout=SOON)
    pick(shown, first)
    shown.tab("Evaluate")
    until(lambda: (place(shown), seen(shown)) == (("evaluate", first), ["panel-evaluate"]))
    pick(shown, second)
    until(lambda: place(shown) == ("evaluate", second))

    shown.page.go_back()
    shown.page.locator(f"#runs [data-pick='{first}'][aria-current]").wait_for(timeout=SOON)
    assert (place(shown), seen(shown)) == (("evaluate", first), ["panel-evaluate"])
    shown.page.reload()
    shown.errors.clear()  # Gradio says loudly what it was waiting for when it was left
    shown.page.locator(f"#runs [data-pick='{first}'][aria-current]").wait_for(timeout=SOON)
    assert (place(shown), seen(shown)) == (("evaluate", first), ["panel-evaluate"])

    other: Any = shown.page.context.new_page()
    other.goto(shown.page.url.replace(first, second).replace("evaluate", "share"))
    other.locator(f"#runs [data-pick='{second}'][aria-current]").wait_for(timeout=SOON)
    assert seen(Window(other, "")) == ["panel-share"]
    assert place(shown) == ("evaluate", first), "windows do not disturb each other"


def test_a_tab_is_turned_to_with_the_keyboard_and_without_asking_the_app(window):
    shown = window()
    shown.page.locator("#panel-memory[role=region]").wait_for(state="attached", timeout=SOON)
    asked: list[str] = []
    shown.page.locator("#tab-dataset").focus()
    shown.page.on("request", lambda request: asked.append(request.post_data or ""))
    for key, tab in (("ArrowRight", "plan"), ("End", "share"), ("ArrowRight", "dataset"), ("ArrowLeft", "share"), ("Home", "dataset")):
        shown.page.keyboard.press(key)
        assert shown.page.evaluate("document.activeElement.id") == f"tab-{tab}"
        assert seen(shown) == [f"panel-{tab}"]
        chosen = shown.page.locator("#steps [role=tab]").evaluate_all("all => all.map(it => [it.ariaSelected, it.tabIndex])")
        assert sorted(chosen) == [["false", -1]] * 4 + [["true", 0]]
    shown.page.keyboard.press("Tab")
    assert shown.page.evaluate("document.activeElement.closest('.tab-panel')?.id") == "panel-dataset", "five tabs are one stop"


def test_a_page_that_nobody_touches_asks_for_nothing(window):
    """Gradio's clocks that were taken off the page ask for a frame for ever: the repair holds."""
    shown = window()
    shown.page.locator("#panel-memory[role=region]").wait_for(state="attached", timeout=SOON)
    asked: list[str] = []
    until(lambda: shown.page.evaluate("document.querySelectorAll('.generating, .pending').length === 0"))
    shown.page.wait_for_timeout(6_000)
    shown.page.on("request", lambda request: asked.append(request.url))
    frames = """async () => { let n = 0; const real = window.requestAnimationFrame;
      window.requestAnimationFrame = (told) => { n += 1; return real(told); };
      await new Promise((go) => setTimeout(go, 5000)); window.requestAnimationFrame = real; return n; }"""
    assert shown.page.evaluate(frames) < 20
    assert asked == []


def test_a_closed_app_says_so_quietly_and_the_page_closes_it(window, app):
    shown = window()
    shown.page.locator("[data-quit]").click()
    shown.page.locator("dialog.quit").get_by_text("Nothing is at work").wait_for(timeout=SOON)
    shown.page.get_by_role("button", name="Close it").click()
    shown.sees(".closed", "Start it again and this page continues.")
    assert app[1].wait(30) == 0
    shown.page.wait_for_timeout(8_000)
    assert len(shown.errors) < 8, "no flood"
    shown.errors.clear()
