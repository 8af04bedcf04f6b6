"""The plan for pairs of answers: gentler than one for answers, what a person fixed kept, offered where a file has pairs."""

from __future__ import annotations

from pathlib import Path

import pytest

from loralab.core.errors import UserError
from loralab.lab import Lab
from loralab.tasks.preference import PreferencePlan
from tests.support import pairs
from ui.goals import changes, choices


def test_pairs_get_a_plan_of_their_own(lab: Lab, tmp_path: Path) -> None:
    profile = lab.profile(str(pairs.written(tmp_path / "a.jsonl")))
    text = lab.propose(profile)
    found = lab.propose(profile, **changes("preference", profile))
    plan = lab.typed(found)
    assert isinstance(plan, PreferencePlan)
    assert plan.learning_rate < text.plan["learning_rate"]
    assert 2 * plan.micro_batch <= text.plan["micro_batch"]
    assert set(found.reasons) >= set(PreferencePlan.model_fields) - {"task"}
    own = lab.propose(profile, task="preference", beta=0.3, micro_batch=3, learning_rate=1e-4, epochs=1.0)
    assert (own.plan["beta"], own.plan["micro_batch"], own.plan["learning_rate"], own.plan["epochs"]) == (0.3, 3, 1e-4, 1.0)
    assert own.reasons["beta"] == "You chose this."


def test_it_is_offered_only_where_there_are_rejected_answers(lab: Lab, tmp_path: Path) -> None:
    paired = lab.profile(str(pairs.written(tmp_path / "a.jsonl")))
    assert dict(choices(paired))["Learn what is preferred"] == "preference"
    alone = lab.profile(lab.samples()[0].path)
    assert "preference" not in dict(choices(alone)).values()
    with pytest.raises(UserError, match="no rejected answers"):
        changes("preference", alone)
