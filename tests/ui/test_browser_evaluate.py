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
def test_the_home_of_a_run_and_every_example(window, two_judged, width, height):
    shown = window(width, height)
    choose(shown, two_judged[1])
    shown.sees("#result .half", "Of 24 messages it never saw, it sorted 19 exactly right; the base model 1.")
    shown.sees("#result .asked-card", "Three questions it never saw")
    assert shown.page.locator("#result .asked").count() == 3
    first = shown.page.locator("#result .asked-prompt").first.inner_text()
    shown.page.get_by_role("button", name="Choose others").click()
    until(lambda: shown.page.locator("#result .asked-prompt").first.inner_text() != first)
    shown.sees("#next", "Use it")

    shown.page.locator("#folds summary").filter(has_text="All measures").click()
    meaning = shown.page.locator("#folds .meaning").first
    assert not meaning.is_visible()
    shown.page.locator("#folds .number summary").first.press("Enter")  # a number opens what it means, with the keyboard too
    meaning.wait_for(state="visible", timeout=SOON)
    assert "exactly the right label" in meaning.inner_text()
    shown.sees("#folds .m-line", "Ends by itself")

    shown.page.locator("#folds summary").filter(has_text="Example by example").click()
    shown.sees("#folds", HARM)
    examples = shown.page.locator("#folds article.pair")
    assert examples.count() == 8
    shown.page.get_by_role("button", name="Show more").click()
    until(lambda: examples.count() == 16)
    until(examples.first.is_visible)  # a fold stays as it was left
    shown.page.get_by_role("button", name="Worse · 1").click()
    until(lambda: examples.count() == 1)
    shown.sees("#folds article", "worse: right → wrong")
    assert shown.page.title() == "LoRALab"
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_run_is_renamed_judged_compared_reported_deleted_and_brought_back(window, two_judged, home):
    first, second = two_judged
    shown = window()
    choose(shown, second)
    shown.page.get_by_role("button", name="Rename this run").click()
    shown.page.keyboard.type("Our <b>mails</b>")
    shown.page.keyboard.press("Enter")
    shown.sees("#result h2", "Our <b>mails</b>")
    assert (home / "runs" / second / "title.txt").read_text("utf-8") == "Our <b>mails</b>"

    shown.page.locator("#folds summary").filter(has_text="Judge five answers").click()
    for key in "12031":
        shown.page.locator(".five article:not([hidden])").press(key)
    shown.sees("#folds [data-keep=five]", "Kept with the run.")
    assert '"type":"heard"' in (home / "runs" / second / "events.jsonl").read_text("utf-8")

    shown.page.get_by_role("button", name="Against another run").click()
    shown.page.get_by_label("Compare with").click()
    shown.page.get_by_role("option", name="First try").click()
    shown.sees("#comparison", "“Our <b>mails</b>” is better")
    shown.page.locator("#comparison summary").click()
    assert shown.page.locator("#comparison circle").count() == 24
    assert first not in shown.page.locator("#comparison").inner_text()

    shown.page.get_by_label("More about this run").click()
    with shown.page.expect_download(timeout=SOON) as download:
        shown.page.get_by_role("button", name="Save report").click()
    saved = Path(download.value.path()).read_bytes()
    assert b"Our &lt;b&gt;mails" in saved
    assert b"it sorted 19 exactly right" in saved

    shown.page.get_by_label("More about this run").click()
    shown.page.get_by_role("button", name="Delete").click()
    shown.sees("#result", "is in the trash now")
    assert not (home / "runs" / second).exists()
    shown.page.get_by_role("button", name="Bring it back").click()
    shown.sees("#result h2", "Our <b>mails</b>")
    assert (home / "runs" / second / "job.json").exists()


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
        shown.sees("#result", words)
    shown.sees("#result .asked-prompt", "Where is it?")
