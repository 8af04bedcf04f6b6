"""Letting others use a run, as a person does it: three clicks to a link, a stranger's browser that opens it, and closing it again."""

from __future__ import annotations

import pytest

from loralab.lab import Lab
from loralab.serve import client as chat
from tests.conftest import until
from tests.support.shared_runs import RUN, planted
from tests.ui.test_browser import DRIVEN, LONG, Window, app, browser, window

__all__ = ["app", "browser", "window"]
pytestmark = [*DRIVEN, pytest.mark.browser, pytest.mark.nightly]


@pytest.fixture
def shared(home):
    planted(home)
    yield Lab(home)
    Lab(home).stop_serving()
    chat.release(home)


def choose(shown: Window) -> None:
    shown.page.locator("#runs [aria-current]").wait_for(state="attached", timeout=LONG)
    shown.page.evaluate("run => document.querySelector(`#runs [data-pick='${run}']`).click()", RUN)
    shown.page.locator(f"#runs [data-pick='{RUN}'][aria-current]").wait_for(state="attached", timeout=LONG)


def test_three_clicks_to_a_link_that_somebody_opens_and_that_closes(shared, window, browser):
    shown = window(390, 844)
    choose(shown)
    shown.tab("Share")  # the first click
    shown.page.get_by_label("Programs on this computer").check()
    shown.page.get_by_role("button", name="Make a link").click()  # the second; the third copies it
    shown.sees("#given h3", "Your link is ready", LONG)
    address = shown.page.locator("#given .address").first.inner_text()
    assert address.startswith("http://127.0.0.1:")
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 390
    shown.sees("#sharing-state", "on this computer only")
    stranger = browser.new_context()
    guest = stranger.new_page()
    asked: list[str] = []
    guest.on("request", lambda request: asked.append(request.url))
    guest.goto(address)
    guest.get_by_role("textbox").fill("What is the colour of grass?")
    guest.keyboard.press("Enter")
    until(lambda: guest.locator(".turn").count() == 2 and guest.locator("#send").inner_text() == "Send", 180)
    assert len(guest.locator(".turn").nth(1).inner_text()) > len("Answer\n")
    assert "#t=" not in guest.url, "the token leaves the address"
    assert all(url.startswith(("http://127.0.0.1:", "data:")) for url in asked), "nobody else is asked"
    shown.page.locator("#open-links [data-pick]").click()
    shown.sees("#open-links .pill", "closed")
    guest.get_by_role("textbox").fill("Still there?")
    guest.keyboard.press("Enter")
    guest.get_by_text("This link was closed").wait_for(timeout=LONG)
    shown.page.get_by_role("button", name="Switch sharing off").click()
    shown.sees("#sharing-state", "Sharing is off", LONG)
    assert shared.serving() is None
    stranger.close()
    assert not shown.errors
