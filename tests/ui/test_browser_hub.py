"""A data set from the Hub, by its name, in a real browser: told, asked, fetched, read."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.datasets.test_hub import NAME, files_asked, web
from tests.support.fake_hub import FakeHub
from tests.ui.test_browser import DRIVEN, SOON, Window, app, browser, window

__all__ = ["app", "browser", "web", "window"]
pytestmark = [*DRIVEN, pytest.mark.browser, pytest.mark.nightly]


def test_a_name_leads_to_the_examples(web: FakeHub, window: Callable[..., Window]) -> None:
    page = window().page
    field = page.locator("#hub-name textarea, #hub-name input")
    field.fill("someone/nothing")
    field.press("Enter")
    page.get_by_text("The Hub has no data set someone/nothing.").wait_for(timeout=SOON)
    field.fill(NAME)
    field.press("Enter")
    page.get_by_text("its licence is “cc-by-4.0”").wait_for(timeout=SOON)
    assert not files_asked(web), "nothing is fetched before the yes"
    page.locator("#hub-yes").click()
    page.locator("#summary").get_by_text("moods").first.wait_for(timeout=SOON)
    page.get_by_text("72").first.wait_for(timeout=SOON)
    assert files_asked(web)
