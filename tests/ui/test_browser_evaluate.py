"""The Evaluate tab as a person uses it in a real browser, over run folders as a worker leaves them: nothing is trained here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import until
from tests.support.judged_runs import HARM, judgement, write_run
from tests.ui.test_browser import DRIVEN, SOON, Window, app, browser, window

__all__ = ["app", "browser", "window"]
pytestmark = [*DRIVEN, pytest.mark.browser, pytest.mark.nightly]


@pytest.fixture
def two_judged(home: Path) -> tuple[str, str]:
    """Two judged runs on the same examples; the second is the better one and the one that is shown."""
    first = write_run(home, "first-run", judgement(wrong=range(12), by=1.0), title="First try")
    return first, write_run(home, "second-run", judgement(lost=(6,)), title="Second try")


def choose(shown: Window, run: str) -> None:
    """Look at a run on the Evaluate tab."""
    shown.page.locator("#runs [aria-current]").wait_for(state="attached", timeout=SOON)  # the page has turned to where it was
    shown.page.evaluate("run => document.querySelector(`#runs [data-pick='${run}']`).click()", run)
    shown.page.locator(f"#runs [data-pick='{run}'][aria-current]").wait_for(state="attached", timeout=SOON)
    shown.tab("Evaluate")


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_the_verdict_its_numbers_and_every_example(window, two_judged, width, height):
    shown = window(width, height)
    choose(shown, two_judged[1])
    shown.sees("#verdict .verdict-word", "Better")
    shown.sees("#verdict", "Of 24 messages it never saw, it sorted 19 exactly right; the base model 1.")
    meaning = shown.page.locator("#verdict .meaning").first
    assert not meaning.is_visible()
    shown.page.locator("#verdict .number summary").first.press("Enter")  # a number opens what it means, with the keyboard too
    meaning.wait_for(state="visible", timeout=SOON)
    assert "exactly the right label" in meaning.inner_text()
    shown.page.locator("#measures summary").first.click()
    shown.sees("#measures .m-line", "Ends by itself")
    shown.sees("#measures", "Cannot be measured with this data.")

    shown.sees("#answers", HARM)
    examples = shown.page.locator("#answers article")
    assert examples.count() == 8
    shown.page.get_by_role("button", name="Show more").click()
    until(lambda: examples.count() == 16)
    shown.page.get_by_label("Worse · 1").check()
    until(lambda: examples.count() == 1)
    shown.sees("#answers article", "worse: right → wrong")
    shown.page.get_by_label("Stayed · 4").check()
    until(lambda: examples.count() == 4)
    assert shown.page.title() == "LoRALab"
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= width


def test_another_run_the_control_and_the_report(window, two_judged):
    first, second = two_judged
    shown = window()
    choose(shown, second)
    shown.sees("#verdict .verdict-word", "Better")
    shown.page.get_by_label("Compare with").click()
    shown.page.get_by_role("option", name="First try").click()
    shown.sees("#comparison", "The second is right more often")
    shown.sees("#comparison", f"First: {first}. Second, this one: {second}.")
    assert shown.page.locator("#comparison circle").count() == 24

    for button, opening in (("as a web page", b"<!"), ("as Markdown", b"# Second try")):
        with shown.page.expect_download(timeout=SOON) as download:
            shown.page.get_by_role("button", name=f"Save the report {button}").click()
        saved = Path(download.value.path()).read_bytes()
        assert saved.startswith(opening), saved[:80]
        assert b"it sorted 19 exactly right" in saved


def test_every_state_says_what_to_do(window, home):
    write_run(home, "untested", None, outcome="stopped")
    write_run(home, "empty", None, outcome="failed", adapter=False)
    write_run(home, "few", judgement(3, wrong=()))
    write_run(home, "old", judgement(), keep=False)
    shown = window()
    for run, words in (
        ("untested", "Press “Measure”"),
        ("empty", "before it had learned anything to keep"),
        ("few", "Only 3 examples could be tested."),
        ("old", "Only the scores of this test were kept"),
    ):
        choose(shown, run)
        shown.sees("#verdict", words)
    shown.sees("#answers", "Where is it?")
