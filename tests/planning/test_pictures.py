"""The plan for pictures: never from a clock, with a reason for each choice, and nothing that does not fit in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from loralab.core.errors import UserError
from loralab.core.records import DatasetProfile
from loralab.lab import Lab
from loralab.machine.hardware import Machine
from loralab.planning import pictures
from tests.support import small_pictures


def profile(rows: int = 500, task: str = "classify", side: int = 64, **more: object) -> DatasetProfile:
    known = {
        "id": "a",
        "name": "a",
        "path": "/a.zip",
        "shape": "class folders",
        "n_read": rows,
        "n_kept": rows,
        "n_train": rows,
        "unit": "pixels",
    }
    return DatasetProfile.model_validate(known | {"task": task, "tokens": {"p50": side**2, "aspect": 100}} | more)


def proposed(lab: Lab, about: DatasetProfile, **changes: object) -> pictures.Proposal:
    machine = lab.machine()
    return pictures.propose(about, lab.check_model("vision-starter"), machine, dict(changes))


@pytest.mark.parametrize("task", ["classify", "segment", "detect"])
def test_every_setting_has_a_reason_and_what_is_fixed_stays(home: Path, task: str) -> None:
    lab = Lab(home)
    found = proposed(lab, profile(task=task), epochs=3.0, image_size=160)
    assert (found.plan["task"], found.plan["epochs"], found.plan["image_size"]) == (task, 3.0, 160)
    assert found.reasons["epochs"] == found.reasons["image_size"] == "You chose this."
    assert found.reasons.keys() >= found.plan.keys()
    assert lab.typed(found).task == task
    assert found.footprint.seconds
    assert not [problem for problem in found.problems if problem.severity == "error"]


def test_more_pictures_need_fewer_rounds_and_no_more_than_fifty(home: Path) -> None:
    lab = Lab(home)
    rounds = [proposed(lab, profile(rows)).plan["epochs"] for rows in (40, 400, 4000, 40_000)]
    assert rounds == sorted(rounds, reverse=True)
    assert (rounds[0], rounds[-1]) == (50.0, 4.0)


def test_it_looks_as_closely_as_the_pictures_are_large_within_bounds(home: Path) -> None:
    lab = Lab(home)
    assert [proposed(lab, profile(side=side)).plan["image_size"] for side in (28, 100, 150, 4000)] == [96, 128, 160, 224]
    assert proposed(lab, profile(views="xray")).plan["augmentation"] == "xray"
    assert proposed(lab, profile(task="detect", side=4000)).plan["image_size"] == 416


def test_what_does_not_fit_or_is_too_little_is_said_before_it_starts(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(home)
    assert [problem.code for problem in proposed(lab, profile(6)).problems] == ["too_few"]
    small: Machine = lab.machine().model_copy(update={"memory_free": 300_000_000})
    found = pictures.propose(profile(), lab.check_model("vision-starter"), small, {})
    assert [problem.code for problem in found.problems] == ["does_not_fit"]
    assert found.plan["token_budget"] >= found.plan["image_size"] ** 2, "one picture at least"
    with pytest.raises(UserError, match="image_size"):
        proposed(lab, profile(), image_size=100)


def test_a_zip_of_pictures_is_planned_with_its_own_model_and_a_quick_look(home: Path, tmp_path: Path) -> None:
    lab = Lab(home)
    read = lab.profile(small_pictures.shapes(tmp_path / "a.zip", 20))
    found = lab.propose(read)
    assert (found.plan["base_model"], found.plan["task"]) == ("vision-starter", "classify")
    assert lab.propose(read, learning_rate=0.1).problems[-1].code == "rate_high"
    many = proposed(lab, profile(5000, side=224))
    assert many.quick_look is not None
    assert many.quick_look.settings == {"max_steps": 1}
    assert many.quick_look.words.startswith("A quick look (")


def test_the_bundled_pictures_have_the_plan_that_was_proven(home: Path) -> None:
    lab = Lab(home)
    known = next(one for one in lab.samples() if one.task == "classify")
    found = lab.propose(lab.profile(known.path), known.model)
    assert found.plan["epochs"] == known.settings["epochs"]
    assert found.reasons["epochs"] == "Of the plans that were tried on this sample, this one did best."
    assert lab.sample_seconds(known.name)
