"""The advisor beside the page as a person uses it in a real browser: it speaks, shows evidence, is applied, undone and asked, forgets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from advisor.repair import tries
from benchmarks.labfail.make.texts import TEXTS
from loralab.core.events import Ended
from loralab.lab import Lab
from loralab.tasks.text import TextPlan
from tests.advisor.test_tries import put, wrecked
from tests.conftest import until
from tests.support.remembering import writer
from tests.ui.test_browser import DRIVEN, SOON, Window, app, browser, window

__all__ = ["app", "browser", "window"]
pytestmark = [*DRIVEN, pytest.mark.browser, pytest.mark.nightly]


@pytest.fixture
def lost(home: Path) -> str:
    """A run of long ago that ran away and went back by itself, on a bundled data set; what it found is to be told."""
    plan = TextPlan(dataset=str(TEXTS / "poet.jsonl"), learning_rate=0.2, max_steps=30, title="A wild one")
    events = [*wrecked("wild", 0.2, 1000.0)[:-1], Ended(time=1010.0, step=3, outcome="finished")]
    return put(Lab(home), "wild", plan, events)


def spoken(shown: Window, words: str) -> None:
    shown.sees("#advisor .note", words)


def answered(home: Path) -> list[tuple[str, bool]]:
    """What was said to advice, by run; what was only shown is left out."""
    return [(one.run, one.taken) for one in Lab(home).history.memories.advice() if one.taken is not None]


def test_it_speaks_shows_its_evidence_and_can_be_applied_and_undone(window, lost, home):
    shown = window()
    shown.page.locator("#runs [aria-current]").wait_for(state="attached", timeout=SOON)
    shown.tab("Train")
    spoken(shown, "The corrections were too big")
    shown.page.locator("#advisor.open").wait_for(state="attached", timeout=SOON)  # it opened by itself: there is room for it
    evidence = shown.page.locator("#advisor .note li").first
    assert not evidence.is_visible()
    shown.page.locator("#advisor .note summary").first.click()
    evidence.wait_for(state="visible", timeout=SOON)
    assert "learning rate: 0.2" in evidence.inner_text()
    shown.page.locator("#curve canvas[aria-label*='the training ran away']").wait_for(state="attached", timeout=SOON)

    shown.page.locator("#apply-0").click()
    shown.sees("#advisor .note.done", "Learning rate: 0.2 →")
    assert answered(home) == [(lost, True)]
    fit = shown.page.locator("#fit")
    until(lambda: re.search(r"Learning rate\s+0\.00\d", fit.inner_text()))
    shown.page.locator("#advisor-undo").click()
    until(lambda: re.search(r"Learning rate\s+0\.2\s", fit.inner_text()))
    shown.page.locator("#advisor .note.done").wait_for(state="hidden", timeout=SOON)
    assert answered(home) == [(lost, False)]  # what is undone was not taken


def test_what_is_put_off_stays_away_and_a_question_is_answered(window, lost, home):
    shown = window()
    shown.page.locator("#runs [aria-current]").wait_for(state="attached", timeout=SOON)
    shown.tab("Train")
    spoken(shown, "The corrections were too big")
    shown.page.locator("#later-0").click()
    until(lambda: "too big" not in shown.page.locator("#advisor").inner_text())
    assert answered(home) == [(lost, False)]
    shown.page.locator("#ask-advisor textarea, #ask-advisor input").first.fill("Why did it stop?")
    shown.page.keyboard.press("Enter")
    shown.sees("#advice", "learning rate of 0.2")


def test_on_a_small_screen_it_waits_behind_its_number(window, lost):
    shown = window(390, 844)
    shown.tab("Train")
    handle = shown.page.locator("#advisor .toggle-button")
    until(lambda: handle.get_attribute("data-count") is not None)
    assert shown.page.locator("#advisor.open").count() == 0
    handle.click()
    spoken(shown, "The corrections were too big")
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_what_is_remembered_can_be_searched_taken_along_and_forgotten(window, lost, home):
    other = writer(home)("other")
    shown = window()
    shown.page.locator("#advisor .toggle-button").click()
    shown.page.locator("#open-memory").click()
    shown.sees("#memory", "What failed and will not be repeated")
    shown.sees("#memory", "wild")
    shown.page.locator(f"#memory [data-pick={other}]").click()
    shown.page.locator("#forget-one-yes").click()
    until(lambda: Lab(home).history.memories.of(other) is None)
    shown.page.locator(f"#memory [data-pick={other}]").wait_for(state="detached")
    shown.page.locator("#search-memory textarea, #search-memory input").first.fill("ran away")
    shown.page.keyboard.press("Enter")
    shown.sees(".found li", "A wild one")
    shown.page.locator("#advisor-settings button").first.click()
    shown.page.get_by_label("Try a failed run again, with other settings").uncheck()
    until(lambda: not tries.policy(home).retry)
    shown.page.locator("#export-memory").click()
    shown.sees("#memory-file", "memory-")
    assert list((home / "exports").glob("memory-*.zip"))
    shown.page.locator("#forget-memory").click()
    shown.page.locator("#forget-yes").click()
    shown.sees("#memory", "Nothing is remembered yet")
    assert Lab(home).history.memories.of(lost) is None
    assert (home / "runs" / lost / "job.json").exists()


def test_a_goal_becomes_a_plan_and_an_empty_table_and_what_is_not_plain_is_asked(window, home):
    shown = window()
    shown.page.get_by_text("No examples yet? Describe what you want").click()
    words = shown.page.locator("#goal-text textarea, #goal-text input").first
    words.fill("asdf qwer")
    words.press("Enter")
    shown.sees("#goal-asked", "not sure what it should do")
    words.fill("make pictures of cats")
    words.press("Enter")
    shown.sees("#goal-asked", "Pictures: not yet. Text: yes.")
    assert not shown.page.locator("#goal-plan").inner_text().strip(), "nothing is guessed"
    words.fill("sort mails into billing and other")
    words.press("Enter")
    shown.sees("#goal-plan", "Examples to collect")
    shown.sees("#goal-plan", "“text” and “label”")
    with shown.page.expect_download() as got:
        shown.page.locator("#goal-table").click()
    assert Path(got.value.path()).read_text("utf-8-sig").splitlines()[0] == "text,label"
    shown.page.locator("#goal-kind").get_by_text("Make texts shorter").click()
    shown.sees("#goal-plan", "“text” and “summary”")
    with shown.page.expect_download() as got:
        shown.page.locator("#goal-table").click()
    assert Path(got.value.path()).read_text("utf-8-sig").splitlines()[0] == "text,summary"
