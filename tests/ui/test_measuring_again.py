"""Measuring again from the page: found again by whoever looks, also after a reload; and picking what was not measured yet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gradio as gr
import pytest

from loralab.lab import Lab
from loralab.runs import runs
from tests.support.judged_runs import judgement, write_run
from ui.tabs.evaluate import measuring
from ui.tabs.evaluate.judged import Found, found_of, parts_of_run
from ui.tabs.evaluate.view import measures_html


@pytest.fixture
def judged(home: Path) -> str:
    return write_run(home, "good-run", judgement(), title="Good")


def test_what_is_at_work_is_found_again(lab: Lab, judged: str, fake: Callable[..., str]) -> None:
    """Another run has the machine, so the measuring waits: to the page that is the same as being at work."""
    assert measuring.measuring_of(lab, judged) is None
    holder = fake(max_steps=10_000, step_seconds=0.05)
    work = lab.evaluate(judged)
    again = Lab(lab.home)  # a page that was loaded anew knows nothing
    found = measuring.measuring_of(again, judged)
    assert found is not None
    assert found.run == work == measuring.measuring(again, judged)  # no second one beside it
    assert measuring.measuring_of(again, write_run(lab.home, "other", judgement())) is None

    view = again.view(judged)
    with gr.Blocks():
        measure, stop = measuring.buttons()
        parts = measuring.Measuring(gr.State(""), measure, stop, gr.Textbox(), gr.HTML())
    section = measuring.section(_Page(again), parts)  # type: ignore[arg-type]
    shown = section.fill(judged, view, found_of(again, judged, view))
    assert shown[parts.work] == work
    assert not shown[parts.measure].interactive
    assert shown[parts.stop].visible
    assert "Measuring" in shown[parts.line]
    lab.stop(work)
    runs.stop(lab.home, holder, force=True)
    quiet = section.fill(judged, view, found_of(again, judged, view))
    assert (quiet[parts.work], quiet[parts.measure].interactive, quiet[parts.line]) == ("", True, "")


class _Page:
    def __init__(self, lab: Lab) -> None:
        self.lab = lab


def test_checkpoints_can_be_picked_and_say_that_they_are_measured_first(lab: Lab, judged: str) -> None:
    folder = lab.home / "runs" / judged / "checkpoints"
    folder.mkdir()
    (folder / "step-30.pt").write_bytes(b"")
    assert parts_of_run(lab, judged) == [("This run, after update 30 (is measured first)", f"{judged}@30")]


def test_the_judges_words_stand_with_the_measures_also_when_it_is_silent() -> None:
    def shown(tables: dict[str, object]) -> str:
        return measures_html(Found("better", "", (), tables=tables))

    silent = shown(
        {"judge": {"judge": {"words": "It changed its mind on 9 of 10 pairs.", "warning": "Of the same family.", "silent": True}}}
    )
    assert "A second opinion" in silent
    assert "It changed its mind on 9 of 10 pairs." in silent
    assert "Of the same family." in silent
    assert "A second opinion" not in shown({})
