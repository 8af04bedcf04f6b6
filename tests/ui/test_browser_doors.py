"""The doors as a browser sees them: the link of a start opens a page that works, and nothing but that link does."""

from __future__ import annotations

import pytest

from tests.ui.test_browser import DRIVEN, SOON, app, browser, window

__all__ = ["app", "browser", "window"]
pytestmark = [*DRIVEN, pytest.mark.browser]


def test_in_a_browser_the_link_opens_a_page_that_works(window, app, home, tmp_path):
    shown = window()  # console errors, the content policy's included, fail it in the end
    assert shown.page.url == app[0].partition("?")[0]
    assert shown.page.evaluate("document.cookie") == ""
    shown.page.get_by_label("Dark", exact=True).first.check()
    shown.page.wait_for_function("document.body.classList.contains('dark')", timeout=SOON)
    file = tmp_path / "mine.jsonl"
    file.write_text("".join(f'{{"prompt": "question {n}", "completion": "answer {n}"}}\n' for n in range(60)))
    shown.page.locator("#drop input[type=file]").set_input_files(file)
    shown.sees("#rows", "The first examples")
    assert list((home / "datasets").glob("*/mine.jsonl"))
    again = shown.page.context.new_page()
    again.goto(shown.page.url)
    again.locator(".sample").first.wait_for(state="attached", timeout=SOON)
    again.close()
    stranger = shown.page.context.browser.new_context().new_page()
    stranger.goto(shown.page.url)
    assert "Start LoRALab again" in stranger.inner_text("body")
