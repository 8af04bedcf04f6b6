"""The report on paper: Chromium prints it, and everything stands on the pages."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loralab.core.events import Evaluated
from loralab.core.facts import Facts
from loralab.reports.report_page import report_html
from tests.reports.test_report_page import PLAN, finished
from tests.support.machines import laptop
from tests.ui.test_browser import DRIVEN, browser

__all__ = ["browser"]
pytestmark = [*DRIVEN, pytest.mark.browser]
SECTIONS = ("Did it get better?", "The run", "Loss", "Where answers end", "Before and after", "Settings")


@pytest.fixture
def printed(browser: Any) -> Iterator[tuple[Any, list[str]]]:
    """The page as it is seen in print, and the text of each sheet."""
    from pypdf import PdfReader

    view = finished()
    facts = Facts(n_train=540, stops=2)
    looks = (*view.evaluations, Evaluated(step=40, loss=0.15, n=60))
    assert view.measured
    view = view.model_copy(update={"measured": view.measured.model_copy(update={"facts": facts}), "evaluations": looks})
    page = browser.new_page(viewport={"width": 794, "height": 1123})
    page.set_content(report_html(view, PLAN | {"seed": 7}, laptop(), "A report on paper"))
    sheets = [sheet.extract_text() for sheet in PdfReader(io.BytesIO(page.pdf(format="A4", prefer_css_page_size=True))).pages]
    page.emulate_media(media="print", color_scheme="dark")
    if folder := os.environ.get("LORALAB_SHOTS"):
        page.screenshot(path=str(Path(folder) / "report_print.png"), full_page=True)
    yield page, sheets
    page.close()


def test_every_part_and_the_whole_loss_table_is_on_paper(printed: tuple[Any, list[str]]) -> None:
    page, sheets = printed
    text = "\n".join(sheets)
    assert 1 <= len(sheets) <= 4
    assert "A report on paper" in sheets[0]
    assert [name for name in SECTIONS if name not in text] == []
    assert page.locator(".losses tr").count() == len([row for row in page.locator(".losses tr").all() if row.is_visible()]) > 20
    assert "95 % interval" in text, "the widest column of the measures is not cut off"


def test_nothing_is_cut_off_or_dark(printed: tuple[Any, list[str]]) -> None:
    page, _ = printed
    wide = page.evaluate("[...document.querySelectorAll('table')].filter(t => t.getBoundingClientRect().right > innerWidth + 1).length")
    assert wide == 0
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
