"""What the Evaluate tab says of what was measured: every state has its sentence, and text from a file is never markup."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loralab.core.jobs import EvaluateJob
from loralab.core.records import Score
from loralab.lab import Lab, between, value
from loralab.reports.compare import Controls
from tests.support.judged_runs import HARM, judgement, write_run
from ui.tabs.evaluate.intervals import interval_bar, two_runs
from ui.tabs.evaluate.judged import Found, examples_of, found_of, other_judged
from ui.tabs.evaluate.labels_view import labels_html
from ui.tabs.evaluate.more import controls_html
from ui.tabs.evaluate.result import answers_html
from ui.tabs.evaluate.rows_view import choices, marked, rows_html
from ui.tabs.evaluate.view import measures_html, state_of, three


def seen(home: Path, run: str) -> tuple[str, Found | None]:
    """What stands in place of a verdict, and what was found."""
    lab = Lab(home)
    view = lab.view(run)
    found = found_of(lab, run, view)
    return state_of(view, found), found


def need(found: Found | None) -> Found:
    assert found is not None
    return found


def test_every_state_of_a_run_has_its_sentence(home: Path) -> None:
    assert "Not tested yet" in seen(home, write_run(home, "untested", None, outcome="stopped"))[0]
    assert "Nothing to test" in seen(home, write_run(home, "empty", None, outcome="failed", adapter=False))[0]
    few = need(seen(home, write_run(home, "few", judgement(3, wrong=())))[1])
    assert "Only 3 examples could be tested." in answers_html(few, None)
    assert "Cannot tell yet" in answers_html(few, None)
    old = need(seen(home, write_run(home, "old", judgement(), keep=False))[1])
    assert "Only the scores of this test were kept" in answers_html(old, None)
    assert [s.prompt for s in old.samples] == ["Where is it?"]
    half = need(seen(home, write_run(home, "half", judgement() | {"complete": False}))[1])
    assert "stopped before its end" in answers_html(half, None)
    words, whole = seen(home, write_run(home, "whole", judgement()))
    assert words == ""
    assert "notice" not in answers_html(need(whole), None)


def test_three_numbers_the_main_one_first_and_forgetting_last(home: Path) -> None:
    found = need(seen(home, write_run(home, "whole", judgement()))[1])
    assert [s.name for s in three(found)] == ["label_accuracy", "forgetting"]
    page = measures_html(found)
    assert page.index("0 % <span") < page.index("83 %")


def test_better_is_to_the_right_whichever_way_a_measure_counts() -> None:
    up = Score(name="x", before=0.1, after=0.5, n=20, difference=0.4, low=0.2, high=0.6, share=True, verdict="better")
    down = up.model_copy(update={"difference": -0.4, "low": -0.6, "high": -0.2, "lower_is_better": True})
    assert interval_bar(up).split("style=")[1:] == interval_bar(down).split("style=")[1:]
    worse = up.model_copy(update={"lower_is_better": True})
    assert "left:4.6%" not in interval_bar(up)
    assert float(interval_bar(worse).partition('range" style="left:')[2].partition("%")[0]) < 10
    assert between(up) == "+20 to +60 points"
    assert value(up, -0.001, "+") == "0 points"
    nothing = up.model_copy(update={"low": float("nan"), "high": float("nan")})
    assert between(nothing) == ""
    assert "range" not in interval_bar(nothing)
    assert interval_bar(up.model_copy(update={"difference": float("nan")})) == ""


def test_examples_are_told_apart_by_the_best_measure_there_is(home: Path) -> None:
    found = need(seen(home, write_run(home, "whole", judgement(lost=(6,))))[1])
    how, rows = examples_of(found)
    assert how == "right"
    assert choices(rows) == [("All · 24", "all"), ("Better · 19", "better"), ("Worse · 1", "worse"), ("Stayed · 4", "same")]
    assert HARM not in rows_html(rows, how, "all", 99)
    assert rows_html(rows, how, "worse", 99).count("<article") == 1
    chrf = [{"row": 2, "before_chrf": 0.2, "after_chrf": 0.7}, {"row": 3, "before_chrf": 0.2, "after_chrf": 0.23}]
    how, rows = examples_of(Found("", "", (), {"overlap": chrf, "loss": found.rows["loss"]}))
    assert (how, [r.change for r in rows]) == ("close", ["better", "same"])
    how, rows = examples_of(Found("", "", (), {"loss": found.rows["loss"]}))
    assert (how, rows[0].change) == ("loss", "better")
    assert "article" not in rows_html(rows, how, "all", 9)
    assert examples_of(Found("", "", ())) == ("", [])


def test_marks_stand_on_the_characters_that_were_counted() -> None:
    assert marked("In 1999 & 2001", [["number", 3, 7]]) == (
        'In <mark class="nowhere" title="This number stands neither in the question nor in what the example says.">1999</mark> &amp; 2001'
    )
    assert "<mark" not in marked("short", [["name", 2, 99]])


@pytest.mark.parametrize(("labels", "drawn"), [(3, True), (30, True), (31, False)])
def test_a_table_is_drawn_while_it_can_be_read(labels: int, drawn: bool) -> None:
    names = [f"label {i:02}" for i in range(labels)]
    table = {name: {name: 3, names[0]: 1 + i} for i, name in enumerate(names)}
    page = labels_html(Found("", "", (), tables={"label_accuracy": {"confusion": {"before": table, "after": table}}}))
    assert ("<table" in page) is drawn
    assert (f"<b>{names[-1]}</b> taken for <b>label 00</b> <span>31 times</span>" in page) is not drawn


def test_other_runs_to_compare_with_are_the_judged_ones(home: Path) -> None:
    for name, found in (("one", judgement()), ("two", judgement()), ("never", None)):
        write_run(home, name, found, outcome="finished" if found else "stopped", adapter=bool(found))
    offered = [run for _, run in other_judged(Lab(home), "one")]
    assert "two" in offered
    assert "one" not in offered
    picture = two_runs(Lab(home).compare("one", "two").rows, "first", "second")
    assert picture.count("<circle") == 24
    assert two_runs([], "a", "b") == ""


def test_controls_say_when_a_verdict_is_not_to_be_trusted() -> None:
    fine = Controls(swaps=200, false_better=3, false_worse=4, words="Swapped. Trained on shuffled answers it is called “x”, fine.")
    assert controls_html(fine).count("notice good") == 2
    assert "notice error" in controls_html(fine.model_copy(update={"false_better": 40}))
    assert "notice error" in controls_html(fine.model_copy(update={"shuffled_learned": "yes"}))


def test_a_control_is_about_a_run_and_no_judging_of_it(home: Path) -> None:
    write_run(home, "mine", judgement())
    control = write_run(home, "control", judgement(by=-1.0) | {"words": "shuffled"})
    job = json.loads((home / "runs" / control / "job.json").read_text("utf-8"))
    job["origin"] = {"kind": "control", "of": "mine"}
    (home / "runs" / control / "job.json").write_text(json.dumps(job), "utf-8")
    assert need(seen(home, "mine")[1]).words != "shuffled"
    (home / "runs" / control / "job.json").write_text(EvaluateJob(run=control, of="mine").model_dump_json(), "utf-8")
    assert need(seen(home, "mine")[1]).words == "shuffled"
    (home / "runs" / control / "job.json").write_text("{damaged", "utf-8")
    assert need(seen(home, "mine")[1]).words != "shuffled"
