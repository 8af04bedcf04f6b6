"""Five answers a person judges blindly, and what the verdict makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loralab.core.errors import UserError
from loralab.core.liked import Good, Liked, heard
from loralab.core.verdict import Verdict
from loralab.core.words import can_you_use_it, told_short
from loralab.lab import Lab
from loralab.reports.five import revealed, to_judge
from tests.support.judged_runs import judgement, write_run

DECIDE = Verdict(learned="yes", learned_words="It did.", usable="you_decide", usable_words="Only you can tell.")


def test_both_orders_occur_and_the_choice_is_told_back_to_its_side() -> None:
    found = judgement()
    sides = {f"{run} {one.row}": one for run in "abcd" for one in to_judge(run, found)}
    rows = {row["row"]: row for row in found["rows"]["answers"]}
    turned = [one.first == rows[one.row]["after"] for one in sides.values() if rows[one.row]["before"] != rows[one.row]["after"]]
    assert set(turned) == {True, False}
    for name, one in sides.items():
        (liked,) = revealed(name.split()[0], found, {one.row: "first"})
        assert rows[one.row][liked.good] == one.first
    assert [one.row for one in to_judge("a", found)] == [one.row for one in to_judge("a", found)]
    assert len(to_judge("a", found)) == 5


def test_rows_nobody_was_asked_about_are_refused() -> None:
    for picks in ({}, {999: "first"}):
        with pytest.raises(UserError, match="not asked about"):
            revealed("a", judgement(), picks)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("good", "usable", "short"),
    [
        (["after"] * 4 + ["before"], "yes", "Learned · you can use it"),
        (["both"] * 5, "yes", "Learned · you can use it"),
        (["after"] * 2 + ["neither"] * 3, "partly", "Learned · for some things"),
        (["before"] * 5, "no", "Learned · not usable yet"),
        (["after"] * 2, "you_decide", "Learned · you decide"),
    ],
)
def test_a_person_decides_where_nothing_else_can(good: list[Good], usable: str, short: str) -> None:
    found = heard(DECIDE, [Liked(row=i, good=one) for i, one in enumerate(good)])
    assert (found.usable, told_short(found)) == (usable, short)
    after = sum(one in ("after", "both") for one in good)
    assert f"You found {after} of {len(good)} good" in found.usable_words
    assert ("from before training" in found.usable_words) == (good.count("before") > after)


@pytest.mark.parametrize(
    ("changes", "usable"),
    [
        ({"usable": "no", "floors": ("words",)}, "partly"),
        ({"usable": "no", "floors": ("right",)}, "no"),
        ({"usable": "no", "floors": ("words",), "capped": "near-copies"}, "no"),
        ({"usable": "you_decide", "capped": "near-copies"}, "you_decide"),
        ({"usable": "yes", "reach": "for 9 of 10 topics"}, "yes"),
    ],
)
def test_what_was_measured_stands_beside_what_a_person_found(changes: dict[str, Any], usable: str) -> None:
    found = heard(DECIDE.model_copy(update=changes), [Liked(row=i, good="after") for i in range(5)])
    assert found.usable == usable
    assert found.usable_words.startswith("You found 5 of 5 good.")
    if found.reach:
        assert can_you_use_it(found) == "Yes, for 9 of 10 topics"


def test_it_is_kept_with_the_run_and_told_everywhere(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    run = write_run(tmp_path, "poet", judgement() | {"conclusion": DECIDE.model_dump()})
    assert lab.report(run)["usable"] == "you_decide"
    five = lab.five_to_judge(run)
    rows = {row["row"]: row for row in lab.judgement(run)["rows"]["answers"]}
    found = lab.judged(run, {one.row: "first" if one.first == rows[one.row]["after"] else "second" for one in five})
    assert found is not None
    assert found.usable_words == "You found 5 of 5 good."
    assert Lab(tmp_path).report(run)["usable"] == "yes"
    assert "You found 5 of 5 good." in lab.card(run)
    (row,) = lab.runs()
    assert (row["usable"], row["told"]) == ("yes", "Learned · you can use it")
    assert lab.judged(run, {one.row: "neither" for one in five}).usable == "no"  # type: ignore[union-attr]


def test_a_run_that_goes_on_is_not_judged(tmp_path: Path) -> None:
    run = write_run(tmp_path, "poet", judgement())
    log = tmp_path / "runs" / run / "events.jsonl"
    log.write_text("\n".join(log.read_text("utf-8").splitlines()[:-1]) + "\n", "utf-8")
    (tmp_path / "runs" / run / "events.jsonl").touch()
    view = Lab(tmp_path).view(run)
    assert not view.active  # nobody works on it: it was given its ending
    assert Lab(tmp_path).judged(run, {2: "neither"}) is None  # judged by an earlier version: kept all the same
    assert Lab(tmp_path).view(run).liked
