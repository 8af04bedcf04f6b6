"""The judge by outcome: cases are what their number says, and regret, harm and false alarms are counted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from advisor.diagnosis.diagnose import diagnose
from benchmarks.advice.judge import Judged, Tried, kept, remedies, table
from benchmarks.advice.recipes import KINDS, RECIPES, drawn
from loralab.tasks.text import TextPlan
from tests.support.built_cases import case, curve, finished, looks


def one(advice: str, *losses: float, faults: tuple[str, ...] = ("x",), nothing: tuple[float, ...] = (2.0, 2.0)) -> Judged:
    """A case in which remedies a, b, c came to these losses."""
    tried = [Tried(name="nothing", losses=nothing), *(Tried(name=n, losses=(loss,)) for n, loss in zip("abc", losses, strict=False))]
    return Judged(key="k", half="dev", base="llama", faults=faults, advice=advice, tried=tuple(tried))


def test_a_case_is_what_its_number_says() -> None:
    cases = [drawn(number) for number in range(60)]
    assert [drawn(number) for number in range(60)] == cases
    assert {of.recipe for of in cases} == set(RECIPES)
    assert {of.kind for of in cases} == set(KINDS)
    assert {len(of.faults) for of in cases} == {0, 1, 2}
    assert {of.half for of in cases} == {"dev", "closed"}
    for of in cases:
        TextPlan.model_validate({"dataset": "x"} | of.settings)
        held = [row for row in of.rows if row["split"] == "test"]
        assert held == [row for row in of.clean if row["split"] == "test"], "what is judged on is in order, and the same for all"
        assert held


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (one("a", 1.0, 1.1), "median 1.00 of 1"),
        (one("b", 1.0, 1.5), "median 0.50 of 1"),
        (one("c", 1.0, 1.5, 3.0), "harm: 100.0 %"),
        (one("", 1.999), "nothing would help, and nothing is advised that changes a setting: 100.0 %"),
        (one("a", 1.999), "nothing would help, and nothing is advised that changes a setting: 0.0 %"),
        (one("a", 1.999, faults=()), "told to change something that does not help: 100.0 %"),
        (one("", 1.999, faults=()), "told to change something that does not help: 0.0 %"),
        (one("a", 1.9, nothing=(1.8, 2.2)), "harm: 0.0 %"),
    ],
)
def test_regret_harm_and_false_alarms_are_counted(found: Judged, line: str) -> None:
    assert any(line in said for said in table([found])), table([found])


def test_the_remedies_are_the_rules_own_and_what_anybody_would_try() -> None:
    of = case([*curve([2.0 - n / 42 for n in range(80)]), *looks(3.0, (20, 1.0), (50, 1.6), (80, 2.2)), finished(80)])
    names = [name for name, _, _ in remedies(of, diagnose(of))]
    assert names[0].startswith("overfitting: ")
    assert names[-5:] == ["half the rate", "double the rate", "half the rounds", "double the rounds", "the examples put right"]


def test_what_was_judged_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "dev.jsonl"
    path.write_text(one("a", 1.0).model_dump_json() + "\n", "utf-8")
    assert kept(path) == [one("a", 1.0)]
    assert kept(tmp_path / "none.jsonl") == []
