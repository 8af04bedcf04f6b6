"""From a finished run to the Hub and back out of a gallery, in a real browser against an imitation of the Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import until
from tests.support.publishing import exported, hub
from tests.support.writing_hub import TOKEN
from tests.ui.test_browser import DRIVEN, SOON, app, browser, window
from tests.ui.test_browser_share import choose, trained

__all__ = ["app", "browser", "hub", "window"]
pytestmark = [*DRIVEN, pytest.mark.browser, pytest.mark.nightly]


def test_a_run_is_published_shown_to_all_and_kept(hub: Any, window: Any, home: Path) -> None:
    run = trained(home, "whole-run")
    exported(home, run)
    hub.codes = [TOKEN]
    shown = window()
    page = shown.page
    choose(shown, run)
    page.locator("#publish .label-wrap").first.click()
    page.locator("#hub-sign-in").click()
    shown.sees("#hub-account", "signed in to the Hub as ann")
    page.locator("#hub-repo textarea, #hub-repo input").first.fill("not a name")
    page.locator("#hub-look").click()
    shown.sees("#publish", "Only you will see them")
    assert hub.repos == {}, "nothing is sent before the yes"
    page.locator("#publish-yes").click()
    page.get_by_text("no name that the Hub takes").first.wait_for(timeout=SOON)
    assert hub.repos == {}
    page.locator("#hub-repo textarea, #hub-repo input").first.fill("whole")
    page.locator("#hub-look").click()
    page.get_by_text("would go to “whole”").wait_for(timeout=SOON)
    page.locator("#publish-yes").click()
    shown.sees("#published", "It is on the Hub")
    assert hub.repos["ann/whole"].private
    page.locator("#hub-public").click()
    page.get_by_text("Everybody would see").wait_for(timeout=SOON)
    assert hub.repos["ann/whole"].private, "looking changes nothing"
    page.locator("#public-yes").click()
    shown.sees("#published", "Everybody can see ann/whole now")
    assert not hub.repos["ann/whole"].private
    assert TOKEN not in page.content()
    page.locator("#keep .label-wrap").first.click()
    page.locator("#keep-all").click()
    shown.sees("#keeping", "It is here")
    with page.expect_download(timeout=SOON) as download:
        page.get_by_text("Download the file").click()
    assert Path(download.value.path()).read_bytes()[:2] == b"PK"
    until(lambda: not shown.errors)
