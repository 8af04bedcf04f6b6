"""More ways through the advisor in a real browser: settings as they are typed, a start that is refused, another window, a goal's model."""

from __future__ import annotations

import pytest

from advisor.repair import tries
from loralab.lab import Lab
from tests.conftest import until
from tests.ui.test_browser import DRIVEN, SOON, Window, app, browser, window

__all__ = ["app", "browser", "window"]
pytestmark = [*DRIVEN, pytest.mark.browser]


@pytest.fixture
def planning(window) -> Window:
    """A window in which a plan for a sample is on the screen, its learning settings unfolded."""
    shown = window()
    shown.page.get_by_role("button", name="Sort customer messages").click()
    shown.page.locator("#start-here").wait_for(state="visible", timeout=SOON)
    shown.tab("Plan")
    shown.sees("#fit", "Rounds over the examples")
    for group in ("Learning: how fast and how long", "Memory: what fits on this machine"):
        shown.page.locator(".settings .label-wrap").filter(has_text=group).click()
    return shown


def test_a_setting_is_looked_at_when_it_is_left_and_a_refused_start_can_be_insisted_on(planning, home):
    rate = planning.page.get_by_label("Learning rate", exact=True)
    rate.fill("0.5")
    rate.press("Tab")  # few people press Enter
    planning.sees("#advisor .note", "The learning rate is far outside what works")
    planning.page.locator("#start-plan").click()  # what is red and forbids nothing is asked about
    asked = planning.page.locator(".refusal").filter(has_text="usually makes a model babble")
    asked.get_by_role("button", name="Change it first").click()
    asked.wait_for(state="hidden", timeout=SOON)
    rate.fill("0.002")
    rate.press("Tab")
    until(lambda: "far outside" not in planning.page.locator("#advisor").inner_text())

    length = planning.page.get_by_label("Longest example")
    length.fill("16")
    length.press("Tab")
    planning.sees("#advisor .note", "nothing to learn from")
    refusal = planning.page.locator(".refusal").filter(has_text="nothing to learn from")
    assert not refusal.is_visible()
    planning.page.locator("#start-plan").click()
    refusal.wait_for(state="visible", timeout=SOON)
    assert not Lab(home).runs()
    refusal.get_by_role("button", name="Start anyway").click()
    until(lambda: len(Lab(home).runs()) == 1)
    run = Lab(home).runs()[0]["id"]
    assert Lab(home).job(run).plan["max_length"] == 16


@pytest.mark.nightly
def test_the_memory_page_shows_what_was_changed_elsewhere_and_takes_what_is_left_in_a_field(window, home):
    shown = window()
    tries.allow(home, {"retry": False, "minutes": 30})
    shown.page.locator("#side-memory").click()
    shown.page.locator("#advisor-settings button").first.click()
    box = shown.page.get_by_label("Try a failed run again, with other settings")
    until(lambda: box.is_visible() and not box.is_checked())
    minutes = shown.page.get_by_label("Minutes for all tries together")
    assert minutes.input_value() == "30"
    minutes.fill("45")
    minutes.press("Tab")
    until(lambda: tries.policy(home).minutes == 45)
    assert not tries.policy(home).retry


@pytest.mark.nightly
def test_a_goal_changes_the_model_only_when_asked_and_gives_it_back(window, home):
    shown = window()
    shown.page.get_by_text("No examples yet? Describe what you want").click()
    shown.page.locator("#goal-text textarea, #goal-text input").first.fill("answer like our support team")
    shown.page.keyboard.press("Enter")
    shown.sees("#goal-plan", "It will answer")
    shown.page.locator("#goal-length").get_by_text("Short").click()
    shown.page.locator("#goal-language input").first.click()
    shown.page.get_by_role("option", name="German").click()
    shown.sees("#goal-plan", "in German and in few words")
    model = shown.page.get_by_label("Search all models")
    shown.tab("Plan")
    until(lambda: model.input_value().lower().startswith("starter"))
    shown.tab("Dataset")
    shown.page.locator("#goal-model").click()
    until(lambda: model.input_value().lower().startswith("qwen"))
    shown.page.locator("#goal-undo").click()
    until(lambda: model.input_value().lower().startswith("starter"))
