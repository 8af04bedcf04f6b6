"""What is said of bases that draw before they are fetched: memory as counted, settings with reasons, what stands in the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from loralab.core import parts
from loralab.core.records import DatasetProfile
from loralab.lab import Lab
from loralab.models.drawing import DrawingEntry, drawing_models
from loralab.planning import drawing
from loralab.planning.calibration import Experience
from loralab.planning.pictures import propose as propose_pictures

LARGE = [entry for entry in drawing_models() if entry.source == "hub"]


def profile(rows: int = 40, **about: object) -> DatasetProfile:
    known = {"id": "", "name": "a", "path": "/a", "shape": "captions", "n_read": rows, "n_kept": rows, "task": "draw"}
    return DatasetProfile.model_validate(known | {"n_train": rows * 7 // 10, "n_heldout": rows // 5} | about)


@pytest.mark.parametrize("entry", LARGE, ids=lambda entry: entry.name)
def test_memory_at_one_picture_is_what_the_planner_says(home: Path, entry: DrawingEntry) -> None:
    lab = Lab(home)
    plan = lab.typed({"task": "draw", "base_model": entry.name, "micro_batch": 1, "image_size": entry.side, "precision": entry.precision})
    needs = drawing.footprint(plan, lab.check_model(entry.name), lab.machine(), profile(), Experience())  # type: ignore[arg-type]
    assert needs.memory_bytes == pytest.approx(1e6 * entry.megabytes_at_one, rel=0.05)


def test_each_base_is_planned_with_its_own_size_and_rate(home: Path) -> None:
    lab = Lab(home)
    starter = drawing.propose(profile(), lab.check_model("drawing-starter"), lab.machine(), {})
    assert (starter.plan["image_size"], starter.plan["learning_rate"], starter.plan["micro_batch"]) == (32, 1e-3, 7)
    large = drawing.propose(profile(), lab.check_model("stable-diffusion-1.5"), lab.machine(), {})
    assert (large.plan["image_size"], large.plan["learning_rate"], large.plan["micro_batch"]) == (512, 1e-4, 1)
    assert large.reasons.keys() >= large.plan.keys()
    assert large.footprint.seconds is not None
    assert starter.footprint.seconds is not None
    assert large.footprint.seconds > 100 * starter.footprint.seconds
    chosen = drawing.propose(profile(), lab.check_model("stable-diffusion-1.5"), lab.machine(), {"image_size": 256})
    assert (chosen.plan["image_size"], chosen.reasons["image_size"]) == (256, "You chose this.")


@pytest.mark.parametrize(
    ("base", "changes", "code"),
    [
        ("stable-diffusion-1.5", {"image_size": 480}, "picture_size"),
        ("stable-diffusion-1.5", {"precision": "nf4"}, "precision"),
        ("flux2-klein-base-4b", {}, "experimental"),
        ("stable-diffusion-xl", {"learning_rate": 0.1}, "rate_high"),
    ],
)
def test_what_stands_in_the_way_is_said_and_the_usual_plan_is_free_of_it(home: Path, base: str, changes: dict, code: str) -> None:
    lab = Lab(home)
    assert code in [problem.code for problem in drawing.propose(profile(), lab.check_model(base), lab.machine(), changes).problems]
    usual = drawing.propose(profile(), lab.check_model("stable-diffusion-1.5"), lab.machine(), {})
    assert code not in [problem.code for problem in usual.problems]


def test_pictures_of_patients_are_warned_of_and_others_are_not(home: Path) -> None:
    lab = Lab(home)
    for medical in (True, False):
        found = drawing.propose(profile(medical=medical), lab.check_model("drawing-starter"), lab.machine(), {})
        assert ("draws_patients" in [problem.code for problem in found.problems]) == medical


def test_cards_are_those_that_draw_and_the_missing_part_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(home)
    cards = lab.model_choices(profile())
    assert {card.name for card in cards} == {entry.name for entry in drawing_models()}
    assert cards[0].name == "drawing-starter"
    assert all(card.licence and card.benchmark and (card.here or card.download_bytes) for card in cards)
    monkeypatch.setattr(parts, "_is_here", lambda part: part.name != "diffusers")
    problems = lab.check_model("stable-diffusion-xl").problems
    assert [(problem.code, problem.part) for problem in problems] == [("not_downloaded", ""), ("no_diffusers", "diffusers")]


def test_what_draws_is_not_taken_for_what_sees(home: Path) -> None:
    lab = Lab(home)
    found = propose_pictures(profile(task="classify"), lab.check_model("stable-diffusion-1.5"), lab.machine(), {})
    assert "reads_only" in [problem.code for problem in found.problems]
