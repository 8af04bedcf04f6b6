"""From a finished run to a file for a USB stick in two clicks, and the file answers where it was put."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import pages
from tests.ui.test_browser import DRIVEN, LONG, app, browser, window
from tests.ui.test_browser_share import choose

__all__ = ["app", "browser", "window"]
pytestmark = [*DRIVEN, pytest.mark.browser, pytest.mark.nightly]


def test_two_clicks_make_a_file_that_answers_by_itself(home, learned, window, browser, tmp_path):
    run = learned.copy(home)
    shown = window()
    choose(shown, run)
    shown.sees("#way-words", "for a USB stick")
    shown.page.get_by_role("button", name="Make it").click()
    shown.sees("#made-card .verdict.good", "Proven", LONG)
    with shown.page.expect_download(timeout=LONG) as download:
        shown.page.get_by_role("button", name="Download the file").click()
    stick = tmp_path / "stick.html"
    download.value.save_as(stick)
    visitor = pages.visit(browser, stick.as_uri())
    assert "Ready" in visitor.state()
    assert visitor.green
    assert visitor.ask("Hello")[1]
    assert visitor.outside() == set()
    assert Path(stick).stat().st_size < 40_000_000, "thirty of them fit through one access point"
