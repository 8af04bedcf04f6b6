"""Owns the tests of how runs are named to people: by title and day where a run is here, by its id where it is not."""

from __future__ import annotations

import re
import shutil

from loralab.core.events import Ended
from loralab.lab import Lab
from loralab.tasks.text import TextPlan
from tests.advisor.test_tries import put, wrecked
from ui.runs.run_names import spoken


def test_ids_of_runs_become_what_a_person_knows_them_by(home):
    lab = Lab(home)
    run = put(lab, "2026-11-21-grand-raven", TextPlan(dataset="mails.csv"), [*wrecked("x", 0.2, 1000.0)[:-1], Ended(outcome="finished")])
    said = spoken(lab, f"{run} ran away with no more than this; 2026-11-20-gone-away ran away, too.")
    assert said.startswith("“Mails” (")
    assert run not in said
    assert "2026-11-20-gone-away" in said  # it was deleted: its id is all there is
    assert spoken(lab, "no run at all, 2026-11-21") == "no run at all, 2026-11-21"


def test_an_entitled_run_is_called_by_its_title(home):
    lab = Lab(home)
    put(lab, "2026-11-21-grand-raven", TextPlan(dataset="mails.csv", title="Our mails"), wrecked("x", 0.2, 1000.0))
    assert spoken(lab, "2026-11-21-grand-raven-2 and 2026-11-21-grand-raven").startswith("2026-11-21-grand-raven-2 and “Our mails”")


def test_a_run_that_was_deleted_or_brought_along_says_so(home, tmp_path):
    lab = Lab(home)
    run = put(lab, "2026-11-21-grand-raven", TextPlan(dataset="mails.csv"), [*wrecked("x", 0.2, 1000.0)[:-1], Ended(outcome="finished")])
    assert lab.history.memories.of(run) is not None
    lab.history.memories.export(tmp_path / "memory.zip")
    shutil.rmtree(home / "runs" / run)
    assert re.fullmatch(r"“Mails” \(.+, deleted\)", spoken(lab, run))
    (tmp_path / "other").mkdir()
    other = Lab(tmp_path / "other")
    other.history.memories.take_in(tmp_path / "memory.zip")
    assert re.fullmatch(r"“Mails” \(.+, from elsewhere\)", spoken(other, run))
