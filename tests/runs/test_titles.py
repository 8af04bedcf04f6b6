"""What people call a run: made from its examples, no two alike when they begin, changed at any time without touching what it was asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from loralab.core.errors import UserError
from loralab.core.jobs import ExportJob, TrainJob, data_title
from loralab.datasets.samples import samples
from loralab.lab import Lab
from loralab.runs import runs
from loralab.runs.titles import numbered


@pytest.fixture
def begun(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A workspace in which a run that is begun is written down and no worker started."""

    def written(home: Path, job: TrainJob, _launch: str = "") -> str:
        path = runs.claim(home / "runs")
        (path / "job.json").write_text(job.model_copy(update={"run": path.name}).model_dump_json())
        return path.name

    (lab.home / "runs").mkdir()
    monkeypatch.setattr(runs, "start", written)
    return lab


@pytest.mark.parametrize(
    ("dataset", "title"),
    [
        ("/data/customer_messages.csv", "Customer messages"),
        ("C:\\Users\\me\\Kundenfragen.xlsx", "Kundenfragen"),
        ("Kundenfragen-drop_near_copies-eb3e5415.jsonl", "Kundenfragen"),
        ("my-own-faq.txt", "My own faq"),
        ("2026-11-29.csv", "2026-11-29"),
        ("/photos/", "Photos"),
        ("", ""),
    ],
)
def test_a_file_gives_a_title(dataset: str, title: str) -> None:
    assert data_title(dataset) == title


@pytest.mark.parametrize(
    ("wanted", "others", "called"),
    [
        ("A poet", [], "A poet"),
        ("A poet", ["A poet"], "A poet 2"),
        ("A poet", ["A poet", "A poet 2"], "A poet 3"),
        ("A poet 2", ["A poet", "A poet 2"], "A poet 3"),
        ("Class of 24", ["Class of 24"], "Class of 24 2"),
    ],
)
def test_no_two_runs_begin_with_one_name(wanted: str, others: list[str], called: str) -> None:
    assert numbered(wanted, others) == called


def test_a_long_name_leaves_room_for_its_number() -> None:
    assert len(numbered("x" * 80, ["x" * 80])) == 80


def test_runs_on_the_same_examples_are_told_apart(begun: Lab) -> None:
    taken = samples()[0]
    made = [begun.begin(TrainJob(plan={"task": "text", "dataset": taken.path})) for _ in range(2)]
    made.append(begun.begin(TrainJob(plan={"task": "text", "dataset": "mails.csv"})))
    assert [begun.job(run).title for run in made] == [taken.title, f"{taken.title} 2", "Mails"]


def test_a_new_name_is_everywhere_and_what_was_asked_stays(begun: Lab) -> None:
    run = begun.begin(TrainJob(plan={"task": "text", "dataset": "mails.csv"}))
    asked = (begun.home / "runs" / run / "job.json").read_bytes()
    assert [row["title"] for row in begun.runs()] == ["Mails"]
    assert begun.rename(run, "  Our\nmails ") == "Our mails"
    assert (begun.home / "runs" / run / "job.json").read_bytes() == asked
    assert [row["title"] for row in begun.runs()] == ["Our mails"]
    assert begun.job(run).title == begun.job(run).plan["title"] == "Our mails"


@pytest.mark.parametrize("name", ["", " \n ", "x" * 81])
def test_what_is_no_name_is_refused(begun: Lab, name: str) -> None:
    run = begun.begin(TrainJob(plan={"task": "text", "dataset": "mails.csv"}))
    with pytest.raises(UserError):
        begun.rename(run, name)
    assert begun.job(run).title == "Mails"


def test_other_work_has_no_name_of_its_own(begun: Lab) -> None:
    with pytest.raises(UserError):
        begun.rename(begun.begin(ExportJob(of="x")), "Mine")


def test_what_was_deleted_can_be_brought_back(begun: Lab) -> None:
    from loralab.core.events import Ended, EventLog, Started

    run = begun.begin(TrainJob(plan={"task": "text", "dataset": "mails.csv"}))
    log = EventLog(begun.home / "runs" / run / "events.jsonl")
    log(Started(pid=1))
    log(Ended(outcome="finished"))
    place = begun.delete(run)
    assert begun.runs() == []
    assert begun.restore(place) == run
    assert [row["id"] for row in begun.runs()] == [run]
    with pytest.raises(UserError):
        begun.restore(place)
