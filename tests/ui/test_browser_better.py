"""From a run that disappoints to one that is better, as a person goes: what would help is tried, what was seen is told, and it is done."""

from __future__ import annotations

import pytest

from advisor.proposals import trials
from advisor.repair import tries
from loralab.core.jobs import Improvement, TrainJob
from loralab.lab import Lab
from loralab.runs import runs
from loralab.tasks import parse_plan
from tests.conftest import until
from tests.support import tiny
from tests.ui.test_browser import DRIVEN, LONG, SOON, app, browser, window

__all__ = ["app", "browser", "window"]
pytestmark = [*DRIVEN, pytest.mark.browser, pytest.mark.nightly, pytest.mark.long]


@pytest.fixture
def poor(home) -> str:
    """A run by a real worker that hardly moved."""
    lab, base = Lab(home), tiny.model_folder(home / "models" / "base")
    settings = {"max_length": 64, "rank": 4, "epochs": 2, "learning_rate": 5e-5, "heldout_share": 0.2, "title": "Too slow"}
    plan = parse_plan({"dataset": str(tiny.examples_file(home / "colours.jsonl")), "base_model": str(base), **settings})
    run = runs.start(home, TrainJob(plan=plan.model_dump(), model=str(base)))
    assert lab.wait(run).state == "finished"
    return run


def test_a_disappointing_run_becomes_a_better_one(window, poor, home):
    lab, shown = Lab(home), window()
    shown.page.locator("#runs [aria-current]").wait_for(state="attached", timeout=SOON)
    shown.tab("Evaluate")
    shown.sees(".next-card", "Let it learn in bigger steps.")
    assert not tries.policy(home).try_first
    shown.page.get_by_role("button", name="Try first what helps").click()
    shown.sees(".next-card", "Trying what would help")
    shown.sees(".next-card", "left for all of it")
    assert tries.policy(home).try_first, "a yes is said once"

    shown.page.reload()  # the tests are runs of their own
    shown.tab("Evaluate")
    shown.page.locator(f"#runs [data-pick='{poor}']").click()
    shown.sees(".next-card", "Tried: bigger steps", LONG)
    shown.sees(".next-card", "as it is")
    shown.page.get_by_role("button", name="Do it").click()
    child = until(lambda: next((name for name in runs.list_runs(home) if is_child(lab, name, poor)), ""))
    shown.sees("#live", "Finished", LONG)
    assert trials.loss_of(lab.judgement(child)) < trials.loss_of(lab.judgement(poor))
    shown.tab("Evaluate")
    shown.sees("#result .half", "Did it learn?")


def test_a_test_is_cancelled_and_the_yes_taken_back(window, poor, home):
    lab, shown = Lab(home), window(390, 844)
    tries.allow(home, {"try_first": True})
    shown.tab("Evaluate")
    shown.page.get_by_role("button", name="Make it better").click()
    shown.page.get_by_role("button", name="Cancel").click()
    until(lambda: not lab.queue())
    shown.page.get_by_role("button", name="Make it better").wait_for(state="visible", timeout=SOON)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 390
    shown.page.get_by_role("button", name="Do not try first").click()
    shown.page.get_by_role("button", name="Try first what helps").wait_for(state="visible", timeout=SOON)
    assert not tries.policy(home).try_first


def is_child(lab: Lab, name: str, of: str) -> bool:
    """Whether a run was begun to do better than another."""
    job = lab.job(name)
    return isinstance(job, TrainJob) and isinstance(job.origin, Improvement) and job.origin.of == of
