"""What was planned against what ran is told in one place: no rule and no sentence reads the settings that only may have ended a run."""

from __future__ import annotations

import ast

import pytest

from loralab.core.paths import CHECKOUT

BOUNDS = {"epochs", "max_steps", "max_minutes", "warmup"}  # of a plan; advisor/diagnosis/course.py says what came of them
PLANS = {"plan", "asked", "text", "asked_text", "pictures", "asked_pictures"}


def touched(source: str) -> list[int]:
    """Lines that read one of these settings of a plan."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute)
        and node.attr in BOUNDS
        and PLANS & {getattr(node.value, "attr", ""), getattr(node.value, "id", "")}
    ]


def test_rules_and_sentences_ask_what_ran():
    files = [path for room in ("rules", "words") for path in (CHECKOUT / "advisor" / room).rglob("*.py")]
    found = {str(path.relative_to(CHECKOUT)): lines for path in files if (lines := touched(path.read_text("utf-8")))}
    assert len(files) > 100, "the search itself works"
    assert found == {}, "ask case.course"


@pytest.mark.parametrize("setting", sorted(BOUNDS))
def test_the_guard_sees_one(setting: str):
    assert touched(f"def check(case):\n    return case.plan.{setting}") == [2]
    assert touched(f"def check(case):\n    plan = case.asked\n    return plan.{setting}") == [3]
    assert touched("def check(case):\n    return case.course.rounds") == []
