"""What an open page is told: only what is new, and an event of Gradio's only where a run begins or ends."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from advisor.advisor import Advisor
from loralab.core.events import Noted, Previewed, append
from loralab.core.records import Artifact, Sample
from loralab.lab import Lab, QueueEntry
from tests.support.judged_runs import judgement, write_run
from ui.live import message
from ui.live.message import Watched, Window, moment_of
from ui.live.tending import Tending
from ui.served import SCRIPTS, calmed, goes_on, page_script
from ui.tabs.train.curve import curve


@pytest.fixture
def watched(home: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    monkeypatch.setattr(message, "LIST_EVERY", 0.0)
    lab = Lab(home)
    return Watched(lab, Tending(Advisor(lab)))


def test_a_window_is_told_all_at_first_and_then_only_what_is_new(watched, home):
    run = write_run(home, "a-run", judgement(), title="Letters & <b>more</b>")
    window = Window(watched, run, 0)
    first = window.look()
    assert first
    assert first.regions
    assert first.points
    assert first.bar
    assert first.curve
    assert first.runs
    assert "Letters &amp; &lt;b&gt;more&lt;/b&gt;" in first.regions["title"]
    assert first.bar.done[1] == 1.0
    assert window.look() is None, "nothing has changed"
    append(home / "runs" / run / "events.jsonl", Noted(text="Something was noticed."))
    told = window.look()
    assert told
    assert told.regions
    assert set(told.regions) == {"story"}
    assert (told.points, told.moment, told.runs) == (None, None, None)
    again = Window(watched, run, first.points[-1][0]).look()
    assert again
    assert again.points is None, "who comes back is not told the same points again"
    missing = Window(watched, "gone", 0).look()
    assert missing
    assert (missing.regions, missing.moment) == (None, None)


def test_a_run_that_has_ended_is_drawn_once_and_again_where_something_came_of_it(watched, home, monkeypatch):
    """Drawing asks the advisor: done each second it was half of what an idle page cost."""
    run, drawn = write_run(home, "a-run", judgement()), list[str]()
    monkeypatch.setattr(message, "curve", lambda advisor, view: drawn.append(view.run) or curve(advisor, view))
    window = Window(watched, run, 0)
    for _ in range(3):
        window.look()
    assert drawn == [run]
    watched.lab.rename(run, "Another name")
    told = window.look()
    assert told
    assert told.regions
    assert set(told.regions) == {"title"}
    append(home / "runs" / run / "events.jsonl", Noted(text="Something was noticed."))
    for _ in range(2):
        window.look()
    assert len(drawn) == 3


def test_points_begin_anew_where_updates_were_taken_back(watched, home):
    run = write_run(home, "a-run", judgement())
    steps = watched.lab.view(run).steps
    told = Window(watched, run, steps[-1].step + 5).look()
    assert told
    assert told.anew
    assert told.points
    assert told.points[0][0] == steps[0].step


def test_the_questions_are_shown_as_they_were_answered_first_and_now(watched, home):
    run = write_run(home, "a-run", judgement())
    log = home / "runs" / run / "events.jsonl"
    for share, text in ((0.0, "Nothing <i>yet</i>"), (0.5, "Half way")):
        append(log, Previewed(samples=(Sample(prompt="How are you?", before="", after=text),), share=share))
    told = Window(watched, run, 0).look()
    assert told
    assert told.regions
    said = told.regions["questions"]
    assert "How are you?" in said
    assert "Nothing &lt;i&gt;yet&lt;/i&gt;" in said
    assert "Half way" in said
    assert "<b>50 %</b>" in said


def test_a_moment_is_a_beginning_or_an_end_and_no_checkpoint(watched, home):
    run = write_run(home, "a-run", judgement())
    view = watched.lab.view(run)
    going = view.model_copy(update={"state": "running"})
    saved = going.model_copy(update={"artifacts": (*going.artifacts, Artifact(kind="checkpoint", path="x"))})
    assert moment_of(going) == moment_of(saved) != moment_of(view)
    assert moment_of(view) != moment_of(view.model_copy(update={"artifacts": saved.artifacts})), "an export of it is there"


def test_who_watches_a_run_that_is_tried_again_is_taken_along_and_old_news_are_none(watched, home):
    run = write_run(home, "a-run", judgement())
    watched.tending.news = "b\nold"
    window = Window(watched, run, 0)
    first = window.look()
    assert first
    assert (first.news, first.next) == (None, None)
    watched.tending.news = "c\nnew"
    watched.tending._next[run] = ("next-run", time.monotonic())  # pyright: ignore[reportPrivateUsage]
    told = window.look()
    assert told
    assert (told.news, told.next) == ("c\nnew", "next-run")


@pytest.mark.parametrize(
    ("turns", "words"),
    [
        ((), "Nothing is at work, so nothing is lost."),
        ((("Poems", 0, "train"),), "“Poems” goes on learning without it."),
        ((("Poems", 0, "train"), ("B", 1, "train")), "“Poems” goes on learning without it. 1 run waits and begins by itself."),
        ((("Poems", 0, "export"), ("B", 1, "train"), ("C", 2, "train")), "“Poems” goes on being exported without it. 2 runs wait"),
    ],
)
def test_closing_says_what_goes_on(turns, words):
    found = goes_on(tuple(QueueEntry(run=title, position=at, kind=kind, title=title) for title, at, kind in turns))
    assert found.startswith(words)


def test_the_repairs_of_gradios_waiting_still_bite():
    import gradio as gr

    with gr.Blocks() as demo:
        gr.Markdown("x")
    demo.queue()
    before = demo._queue  # pyright: ignore[reportPrivateUsage]
    assert min(before.sleep_when_free, before.progress_update_sleep_when_free) < 0.2, "Gradio has learned to wait: the repair may go"
    after: Any = calmed(demo)._queue  # pyright: ignore[reportPrivateUsage]
    assert (after.sleep_when_free, after.progress_update_sleep_when_free) == (0.05, 0.5)
    assets = Path(gr.__file__).parent / "templates" / "frontend" / "assets"
    (clock,) = assets.glob("statustracker-*.js")
    assert re.search(r"\(performance\.now\(\)-\w+\(\w+\)\)/1e3", clock.read_text("utf-8")), "what quiet.js knows a clock by"


def test_the_script_is_whole():
    text = bytes(page_script().body).decode()
    assert all((Path(message.__file__).parents[1] / "scripts" / f"{name}.js").read_text("utf-8") in text for name in SCRIPTS)
    assert SCRIPTS[0] == "quiet", "before all that asks for a frame"
