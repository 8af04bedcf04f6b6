"""Where errors are said, in a real browser: beside the button, under the field, in the form or the card, until that is tried again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import until
from tests.support.judged_runs import judgement, write_run
from tests.ui.test_browser import DRIVEN, SOON, Window, app, browser, window
from tests.ui.test_browser_evaluate import choose
from tests.ui.test_browser_share import exported, trained

__all__ = ["app", "browser", "window"]
pytestmark = [*DRIVEN, pytest.mark.browser, pytest.mark.nightly]


def told(shown: Window, part: str) -> str:
    """What a field or button is described by: what those hear of it who do not see the page."""
    script = "part => document.getElementById(document.querySelector(part).getAttribute('aria-describedby') || '')?.innerText || ''"
    return shown.page.evaluate(script, part)


def test_an_error_stays_where_the_action_was(window, home, tmp_path):
    run = write_run(home, "a-run", judgement(), title="A run")
    file = tmp_path / "mine.csv"
    file.write_text("question,answer\n" + "".join(f"What is {i}?,It is {i}.\n" for i in range(40)), "utf-8")
    shown = window()

    shown.tab("Plan")  # a model that is none
    shown.page.locator("#model input").fill("/nope")
    shown.page.locator("#model input").press("Enter")
    shown.sees("#about-model .notice.error", "nope")
    until(lambda: shown.page.locator("#model input").get_attribute("aria-invalid") == "true")
    assert "nope" in told(shown, "#model input")

    shown.page.locator("#model-cards .sample").first.click()
    until(lambda: shown.page.locator("#model input").get_attribute("aria-invalid") == "false")

    shown.tab("Dataset")  # a start whose file has gone
    shown.page.locator("#drop input[type=file]").set_input_files(file)  # a start whose file has gone
    shown.page.locator("#start-here:enabled").wait_for(timeout=SOON)
    shutil.rmtree(home / "datasets")
    shown.page.locator("#start-here").click()
    shown.sees(".actions:has(#start-here) + .said", "no longer there")
    assert "no longer there" in told(shown, "#start-here")

    shown.tab("Share")  # nothing was dropped
    shown.page.get_by_role("button", name="Import an adapter").click()
    shown.page.get_by_role("button", name="Import it").click()
    shown.sees("#drop-adapter + .said", "nothing to import")

    choose(shown, run)  # a name that is none, and a question that cannot be answered
    shown.page.get_by_role("button", name="Rename this run").click()
    shown.page.keyboard.type(" ")
    shown.page.keyboard.press("Enter")
    shown.sees("#name-said", "A run needs a name.")
    assert "A run needs a name." in told(shown, ".run-form input")
    shown.page.get_by_role("button", name="Cancel").first.click()
    shown.page.get_by_role("button", name="Write your own").click()
    shown.page.keyboard.type("Where is it?")
    shown.page.keyboard.press("Enter")
    shown.sees("#own-said .notice", "")
    assert told(shown, ".own-form input")
    assert shown.page.locator(".own-form input").input_value() == "Where is it?"
    shown.page.locator("#question textarea").fill("Where is it?")
    shown.page.locator("#question textarea").press("Enter")
    shown.sees("#chat [data-testid=bot]", told(shown, ".own-form input").split("\n")[0])
    assert shown.page.locator(".toast-body:visible").count() == 0


def test_what_goes_wrong_late_is_said_where_it_was_asked_for(window, home):
    """Each fault is made for real between the drawing of a button and the press on it."""
    run, halted = trained(home, "a-run"), trained(home, "halted-run", "stopped")
    write_run(home, "judged-run", judgement(), title="A judged run")
    made = exported(home, run, {"outcome": "untried", "words": ""})
    shown = window()

    def goes_wrong(tab: str, part: str, place: str, words: str, spoil: Callable[[], object], at: str = "") -> None:
        shown.tab(tab)
        button = shown.page.locator(part)
        button.and_(shown.page.locator(":enabled")).wait_for(timeout=SOON)
        spoil()
        button.dispatch_event("click")  # at once: a click that scrolls first leaves the page time to see what is gone
        shown.sees(f"{place} + .said.here", words)
        assert words in told(shown, at or part), "who hears the page is told at the button"
        assert shown.page.locator(f"{place} + .said.here").inner_text().count(".") > 1, "what happened, and what to do next"
        assert shown.page.locator(".toast-body:visible").count() == 0

    def turn_to(name: str) -> None:  # the one that is looked at may be gone from the list
        shown.page.evaluate("name => lab.choose(name)", name)
        shown.page.locator(f"#runs [data-pick='{name}'][aria-current]").wait_for(state="attached", timeout=SOON)

    choose(shown, run)
    reports = home / "exports" / "reports"
    goes_wrong("Share", "#save-run", ".actions:has(#save-run)", "could not be written", lambda: _a_file_at(reports))
    shown.page.get_by_label("In Ollama").check()
    goes_wrong("Share", "#check-again", ".actions:has(#make-it)", "not there any more", lambda: shutil.rmtree(made), "#make-it")
    shown.page.get_by_label("Keep it").check()
    shown.sees("#way-words", "pass it on")
    goes_wrong("Share", "#make-it", ".actions:has(#make-it)", "no run", lambda: shutil.rmtree(home / "runs" / run))
    turn_to("judged-run")
    shown.tab("Evaluate")
    shown.page.locator("#measure-again > button").click()
    lost = home / "runs" / "judged-run"
    goes_wrong("Evaluate", "#measure", ".actions:has(#measure)", "no run", lambda: shutil.rmtree(lost))
    turn_to(halted)
    goes_wrong("Train", "[data-pick=resume]", "#live-actions", "no run", lambda: shutil.rmtree(home / "runs" / halted))


def _a_file_at(place: Path) -> None:
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(b"")
