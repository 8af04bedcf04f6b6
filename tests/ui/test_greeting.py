"""What the app says about runs that were lost or that wait, and what it does when nobody is waiting."""

from __future__ import annotations

import threading
from typing import cast

import pytest

from loralab.core.events import Ended, EventLog, Started, Stepped
from loralab.core.jobs import Retry, TrainJob
from loralab.core.records import Artifact
from loralab.lab import Lab
from loralab.machine.speed import Speed
from loralab.runs.queue import QueueEntry
from tests.conftest import until
from ui.idle import measuring
from ui.runs.greeting import greet, greeting_html, lost_runs, put_off_all
from ui.runs.runlist import runs_html
from ui.settings import read_settings, remember
from ui.tabs.train.view import whose_turn


def run_that(lab: Lab, name: str, **ending) -> str:
    """A run folder as it lies there after the computer was started again."""
    path = lab.home / "runs" / name
    path.mkdir(parents=True)
    (path / "job.json").write_text(TrainJob(run=name, plan={"title": name}).model_dump_json())
    log = EventLog(path / "events.jsonl")
    log(Started(pid=1))
    if ending:
        log(Ended(**ending))
    return name


def lost(lab: Lab) -> list[str]:
    return [view.run for view in lost_runs(lab, read_settings(lab.home))]


@pytest.mark.parametrize(
    ("outcome", "code", "greeted"),
    [
        ("killed", "worker_gone", True),
        ("killed", "out_of_memory", True),
        ("killed", "crashed", True),
        ("killed", "ended_by_force", False),
        ("stopped", "does_not_fit", True),
        ("stopped", "copy_not_written", True),
        ("stopped", "keeper_gone", True),
        ("stopped", "", False),
        ("stopped", "unqueued", False),
        ("finished", "", False),
        ("failed", "non_finite", False),
    ],
)
def test_only_what_nobody_chose_is_greeted(lab, outcome, code, greeted):
    run_that(lab, "r", outcome=outcome, code=code, what="It happened.", todo="Do this.")
    assert bool(lost(lab)) is greeted
    assert bool(greet(lab)[0]) is greeted


def test_a_run_whose_process_is_gone_without_a_word_is_greeted(lab):
    run_that(lab, "r")
    assert lost(lab) == ["r"]


def test_not_now_puts_off_everything_lost_so_far_and_nothing_later(lab):
    run_that(lab, "one", outcome="killed", code="crashed")
    run_that(lab, "two", outcome="killed", code="crashed")
    assert sorted(lost(lab)) == ["one", "two"]
    put_off_all(lab)
    assert lost(lab) == []
    remember(lab.home, {"theme": "dark"})
    assert lost(lab) == [], "other settings do not forget it"
    run_that(lab, "three", outcome="killed", code="crashed")
    assert lost(lab) == ["three"]


def stepped(step):
    return Stepped(step=step, loss=1.0, grad_norm=1.0, learning_rate=1e-4, tokens=1, tokens_per_second=1, memory_bytes=1, total_steps=100)


def seen(lab, done=0, copies=(), **ending):
    run_that(lab, "r")
    view = lab.view("r").model_copy(update={"state": "killed", "ending": Ended(outcome="killed", what="It crashed.", **ending)})
    made = tuple(Artifact(kind="checkpoint", path="p", step=step) for step in copies)
    return view.model_copy(update={"step": done, "total_steps": 100 if done else 0, "steps": (stepped(done or 1),), "artifacts": made})


@pytest.mark.parametrize(
    ("done", "copies", "words"),
    [
        (0, (), "nothing is lost: it begins again"),
        (40, (), "There was no safety copy yet"),
        (40, (20, 30), "40 of 100 updates (40%). It goes on from the safety copy of update 30"),
        (40, (40,), "it goes on exactly there"),
        (100, (100,), "what is left is the comparison"),
    ],
)
def test_the_greeting_says_how_far_it_was_and_where_it_goes_on(lab, done, copies, words):
    assert words in greeting_html(seen(lab, done, copies), "T")


def test_a_question_is_asked_with_its_choices_and_nothing_is_markup(lab):
    view = seen(lab, 40, (40,), todo="Choose <one>.").model_copy(update={"state": "stopped"})
    said = greeting_html(view, "<script>", more=2)
    assert "“&lt;script&gt;” has a question" in said
    assert "Choose &lt;one&gt;." in said
    assert "2 other runs were interrupted, too" in said


# ---- the queue -------------------------------------------------------------------------------------------------------------


def turn(run, position, kind="train", title=""):
    return QueueEntry(run=run, kind=kind, title=title or run.title(), position=position)


def test_whose_turn_it_is():
    turns = (turn("a", 0), turn("b", 1), turn("c", 2), turn("d", 3))
    assert whose_turn(turns, "b") == "“A” is learning now. This run is next."
    assert whose_turn(turns, "d") == "“A” is learning now. 2 runs will come before this one."
    assert whose_turn((turn("a", 0, "export"), turn("b", 1)), "b").startswith("“A” is being exported now.")
    assert whose_turn(turns[1:], "b") == "This run is next."
    assert whose_turn(turns, "gone") == "It is about to begin."


def row(run, state="finished", **more):
    return {"id": run, "kind": "train", "title": run.title(), "state": state, "started": 0, **more}


@pytest.mark.parametrize(
    ("state", "learned", "usable", "told", "tone", "words"),
    [
        ("finished", "yes", "yes", "Learned · you can use it", "good", "Learned · you can use it"),
        ("finished", "yes", "no", "Learned · not usable yet", "bad", "Learned · not usable yet"),
        ("stopped", "unknown", "you_decide", "Cannot tell yet", "warn", "Cannot tell yet"),
        ("failed", "yes", "yes", "Learned · you can use it", "bad", "Did not work"),
        ("finished", None, None, "", "good", "Finished"),
    ],
)
def test_a_run_has_a_dot_and_a_word_of_its_verdict(state, learned, usable, told, tone, words):
    shown = runs_html([row("a", state, learned=learned, usable=usable, told=told)], "")
    assert f'class="dot {tone}"' in shown
    assert f"<small>{words}<" in shown


def test_the_list_shows_what_is_at_work_then_what_waits_in_order_then_the_rest():
    rows = [row("c", "waiting"), row("b", "waiting"), row("a", "running"), row("old")]
    shown = runs_html(rows, "b", (turn("a", 0), turn("b", 1), turn("c", 2)))
    places = [shown.index(f'data-pick="{run}"') for run in ("a", "b", "c", "old")]
    assert places == sorted(places)
    assert shown.count('class="turn"') == 2
    assert 'data-pick="earlier:b" aria-label="Earlier: B" title="Earlier" disabled' in shown
    assert 'data-pick="later:c" aria-label="Later: C" title="Later" disabled' in shown


def test_other_work_that_waits_is_named_but_cannot_be_opened():
    shown = runs_html([row("a")], "a", (turn("x", 0), turn("e", 1, "evaluate", "a")))
    assert "Comparison of A" in shown
    assert 'data-pick="e"' not in shown
    assert 'data-pick="remove:e"' in shown


def test_a_title_is_never_markup():
    rows = [row("a", title="<img src=x>"), row("b", "waiting", title="<img src=x>")]
    assert "<img" not in runs_html(rows, "", (turn("b", 1, title="<img src=x>"),))


# ---- measuring in the background -------------------------------------------------------------------------------------------


class Busy:
    """A lab whose machine is free after two looks."""

    def __init__(self):
        self.looks, self.measured = 0, []

    def queue(self):
        self.looks += 1
        return (turn("a", 0),) if self.looks <= 2 else ()

    def measure_speed(self, *, quietly):
        self.measured.append((self.looks, quietly, threading.current_thread().daemon))
        return Speed()


def test_speed_is_measured_once_quietly_and_never_beside_a_run():
    lab = Busy()
    begin = measuring(cast(Lab, lab), after=0.0, every=0.01)
    for _ in range(5):
        begin()
    until(lambda: lab.measured, 5)
    assert lab.measured == [(3, True, True)]


def test_a_run_that_was_tried_again_is_not_offered_to_go_on_with(lab):
    run_that(lab, "first", outcome="killed", code="killed_for_memory", what="It happened.")
    assert lost(lab) == ["first"]
    run_that(lab, "second", outcome="finished")
    why = Retry(of="first", first="first", number=1, rule="R07", words="Less at once.")
    job = TrainJob(run="second", plan={"title": "second"}, origin=why)
    (lab.home / "runs" / "second" / "job.json").write_text(job.model_dump_json())
    assert lost(lab) == []
