"""Owns the advisor's facade: everything the app, the command line or a notebook can ask it. Thin over Lab, beside which it stands.

advisor = Advisor(Lab())
advisor.diagnose(run).cause
"""

from __future__ import annotations

from typing import Any

from advisor import case
from advisor.diagnose import diagnose
from advisor.findings import Diagnosis
from loralab import facts
from loralab.lab import Lab
from loralab.records import DatasetProfile
from loralab.tasks.text import TextPlan


class Advisor:
    """What is known about the runs and plans of one workspace. Cheap to make; everything it says is derived from the runs' logs."""

    def __init__(self, lab: Lab | None = None) -> None:
        self.lab = lab or Lab()

    def diagnose(self, run: str) -> Diagnosis:
        """What went wrong in a run, the likeliest cause first; while it goes on, what can be said already."""
        return diagnose(case.of_run(self.lab, run))

    def preflight(self, plan: TextPlan | dict[str, Any], profile: DatasetProfile | None = None) -> Diagnosis:
        """What would go wrong with a plan, known before the first update. Raises UserError where its examples cannot be read."""
        typed = TextPlan.model_validate(plan if isinstance(plan, dict) else plan.model_dump())
        found = facts.foreseen(typed, self.lab.catalog.folder(typed.base_model))
        return diagnose(case.Case(plan=typed, asked=typed, facts=found, profile=profile, machine=self.lab.machine()))
