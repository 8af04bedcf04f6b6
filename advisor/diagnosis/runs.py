"""Owns which runs are of one lineage, and asks the rules about each: once, as long as its log stays as it is.

Invariant: short tests, controls and runs that cannot be diagnosed are of no lineage, so that no advice rests on them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import PurePath

from advisor.diagnosis import case
from advisor.diagnosis.diagnose import diagnose
from advisor.diagnosis.earlier import Earlier
from advisor.diagnosis.findings import Diagnosis
from advisor.diagnosis.lineage import Step, advised, earlier_of
from loralab.core.errors import UserError
from loralab.core.events import RunView
from loralab.core.jobs import TrainJob, Trial
from loralab.core.records import Plan
from loralab.lab import Lab

MOST = 30  # runs of a lineage that are looked at, the newest


class Runs:
    """The runs of a workspace by lineage. Safe to keep: what is known of a run is read again when its log has grown."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._known: dict[str, tuple[tuple[object, ...], Step]] = {}

    def diagnose(self, run: str) -> Diagnosis:
        """What the rules say of a run, without advice that its lineage refutes."""
        now = self._step(run)
        if run not in (lineage := self._lineage(now)):
            return now.found
        return advised([self._step(one) for one in lineage])[lineage.index(run)]

    def before(self, plan: Plan, found: Diagnosis) -> Diagnosis:
        """What the rules say of a plan, likewise."""
        step = Step(plan.model_dump(), found)
        return advised([*(self._step(one) for one in self._lineage(step)), step])[-1]

    def earlier(self, plan: Mapping[str, object]) -> tuple[Earlier, ...]:
        """What the runs of a plan's model on its examples came to, the oldest first."""
        return tuple(earlier_of(self._step(one)) for one in self._lineage(Step(plan, Diagnosis())))

    def _lineage(self, step: Step) -> list[str]:
        """Runs of this model on this file, the oldest first."""
        of = _named(step.settings)
        rows = [row for row in self.lab.runs() if row["kind"] == "train" and _named({"base_model": row["model"], **row}) == of]
        found = [str(row["id"]) for row in sorted(rows, key=lambda row: (row["started"], row["id"]))]
        return [run for run in found if self._counts(run)][-MOST:]

    def _counts(self, run: str) -> bool:
        try:
            job = self.lab.job(run)
            self._step(run)
        except UserError:
            return False
        return isinstance(job, TrainJob) and not job.control and not job.imported and not isinstance(job.origin, Trial)

    def _step(self, run: str) -> Step:
        view = self.lab.view(run)
        stamp = view.state, view.step, len(view.incidents), len(view.adjustments), len(view.evaluations), view.ended
        known = self._known.get(run)
        if known is None or known[0] != stamp:
            of = case.of_run(self.lab, run)
            known = stamp, Step(of.asked.model_dump(), diagnose(of), _loss(view), view.state == "finished", run, of.course.rounds)
            self._known[run] = known
        return known[1]


def _named(settings: Mapping[str, object]) -> tuple[str, str]:
    """The model and the file of a run, as they are compared."""
    return PurePath(str(settings.get("base_model", ""))).name, str(settings.get("dataset", ""))


def _loss(view: RunView) -> float:
    """The held-out loss a run came to: of its verdict, or of its best look."""
    final = next((look.loss for look in reversed(view.evaluations) if look.split == "final"), math.nan)
    looks = [look.loss for look in view.evaluations if look.split == "heldout" and math.isfinite(look.loss)]
    return final if math.isfinite(final) else min(looks, default=math.nan)
