"""“Start from a template”, in a real browser: found by a task, filled in, saved from a run and dropped in again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loralab.lab import Lab
from tests.conftest import until
from tests.ui.test_browser import DRIVEN, SOON, app, browser, window
from tests.ui.test_browser_share import choose, trained

__all__ = ["app", "browser", "window"]
pytestmark = [*DRIVEN, pytest.mark.browser, pytest.mark.nightly]


def opened(shown: Any) -> Any:
    """The page with the fold of templates open."""
    page = shown.page
    page.locator("#templates-fold > button").first.click()
    page.locator("#templates .sample").first.wait_for(timeout=SOON)
    return page


def test_a_task_in_plain_words_finds_one_and_fills_in_its_examples(window: Any) -> None:
    shown = window(390, 844)
    page = opened(shown)
    field = page.locator("#template-words textarea, #template-words input").first
    field.press_sequentially("qwertz")
    shown.sees("#templates", "No template fits that")
    field.fill("")
    field.press_sequentially("Gedanken in Schritten")
    until(lambda: page.locator("#templates .sample").first.get_attribute("data-pick") == "reasoning")
    page.locator("#templates .sample").first.click()
    shown.sees("#template-told", "the answer behind them")
    page.locator("#template-try").click()
    shown.sees("#summary", "thoughts.csv")
    shown.sees("#summary", "reasoning and answers")


def test_a_field_opens_the_documents_with_its_words(window: Any) -> None:
    shown = window()
    page = opened(shown)
    page.locator("#templates .sample", has_text="Contracts and terms").click()
    page.locator("#way-documents").wait_for(timeout=SOON)


@pytest.mark.long
def test_a_run_is_saved_and_dropped_in_again(window: Any, home: Path, tmp_path: Path) -> None:
    run = trained(home, "whole-run")
    shown = window()
    page = shown.page
    choose(shown, run)
    page.locator("#template-save").click()
    shown.sees("#template-saved", "without the examples")
    with page.expect_download(timeout=SOON) as download:
        page.locator("#template-take").click()
    place = tmp_path / "given.yaml"
    download.value.save_as(place)
    shown = window()
    page = opened(shown)
    (tmp_path / "bad.yaml").write_text("name: [\n")
    page.locator("#template-file input[type=file]").set_input_files(tmp_path / "bad.yaml")
    page.get_by_text("Mend that line").first.wait_for(timeout=SOON)
    page.locator("#template-file input[type=file]").set_input_files(place)
    shown.sees("#templates", "yours")
    page.locator("#template-mine").click()
    shown.sees("#template-said", "Drop your own file")
    assert [one.own for one in Lab(home).templates()].count(True) == 1
    page.locator("#template-remove").click()
    until(lambda: not any(one.own for one in Lab(home).templates()))
