"""A folder of documents becomes a run that has begun, in four decisions, in a real browser; and rows are looked through by keyboard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from loralab.runs import runs
from tests.conftest import until
from tests.support.corpus import town
from tests.ui.test_browser import DRIVEN, LONG, SOON, Window, app, browser, window

__all__ = ["app", "browser", "window"]
pytestmark = [*DRIVEN, pytest.mark.browser, pytest.mark.nightly]


def test_documents_lead_to_a_run_in_four_decisions(window: Callable[..., Window], home: Path, tmp_path: Path) -> None:
    first = window()
    page = first.page
    page.get_by_role("button", name="I have documents").click()  # 1
    town(40).write(tmp_path / "docs")
    (tmp_path / "docs" / "broken.pdf").write_bytes(b"%PDF-1.4 and nothing more")
    files = [str(path) for path in sorted((tmp_path / "docs").iterdir())]
    page.locator("#documents input[type=file]").set_input_files(files)  # 2
    first.sees("#making-outcome", "What came of it", LONG)
    first.sees("#making-outcome", "broken.pdf is damaged")

    card = page.locator("#review .review")
    card.focus()
    asked = page.locator("#review .asks").inner_text()
    page.keyboard.press("r")
    first.sees("#review", "It lies in the bin.")
    until(lambda: page.locator("#review .asks").inner_text() != asked)
    page.keyboard.press("u")
    first.sees("#review", "Taken back.")
    until(lambda: page.locator("#review .asks").inner_text() == asked)
    page.keyboard.press("a")
    first.sees("#review", "1 row looked at")

    page.locator("#made-use").click()  # 3
    first.sees("#summary", "To learn from", SOON)
    page.locator("#start-here").click()  # 4
    until(lambda: any(runs.job(home, run).kind == "train" for run in runs.list_runs(home)))


def test_what_is_written_by_hand_outlasts_the_page(window: Callable[..., Window], home: Path) -> None:
    first = window()
    page = first.page
    page.get_by_role("button", name="Write some by hand").click()
    page.locator("#hand-next").click()
    first.sees(".said", "A row needs a question and an answer.")
    page.get_by_label("Question").fill("When do you open?")
    page.get_by_label("Answer").fill("At nine.")
    page.locator("#hand-next").click()
    first.sees("#hand-rows", "1 row so far")
    page.context.close()
    second = window(390, 844)
    second.page.get_by_role("button", name="Write some by hand").click()
    second.sees("#hand-rows", "When do you open?")
