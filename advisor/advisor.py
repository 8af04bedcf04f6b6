"""Owns the advisor's facade: everything the app, the command line or a notebook can ask it. Thin over Lab, beside which it stands.

advisor = Advisor(Lab())
advisor.diagnose(run).cause
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from advisor import case, tries
from advisor.diagnose import diagnose
from advisor.findings import Diagnosis
from advisor.limits import Limits, Point, of_run
from advisor.repair import Repair, repair
from loralab import disk, facts
from loralab.errors import UserError
from loralab.lab import Lab
from loralab.records import DatasetProfile
from loralab.tasks.text import TextPlan


class Advisor:
    """What is known about the runs and plans of one workspace. Cheap to make; everything it says is derived from the runs' logs."""

    def __init__(self, lab: Lab | None = None) -> None:
        self.lab = lab or Lab()
        self._learned: dict[str, tuple[Point, ...]] = {}
        self._settled: dict[str, str] = {}

    def diagnose(self, run: str) -> Diagnosis:
        """What went wrong in a run, the likeliest cause first; while it goes on, what can be said already."""
        return diagnose(case.of_run(self.lab, run))

    def preflight(self, plan: TextPlan | dict[str, Any], profile: DatasetProfile | None = None) -> Diagnosis:
        """What would go wrong with a plan, known before the first update. Raises UserError where its examples cannot be read."""
        typed = TextPlan.model_validate(plan if isinstance(plan, dict) else plan.model_dump())
        found = facts.foreseen(typed, self.lab.catalog.folder(typed.base_model))
        return diagnose(case.Case(plan=typed, asked=typed, facts=found, profile=profile, machine=self.lab.machine()))

    # ---- trying again ----------------------------------------------------------------------------------------------------
    def limits(self) -> Limits:
        """What failed and what is known to fit, of all runs in the workspace."""
        return Limits(point for row in self.lab.runs() if row["kind"] == "train" for point in self._points(str(row["id"])))

    def repair(self, run: str) -> Repair | None:
        """What a failed run would be tried again with; None where nothing may be done without asking."""
        tried = [found.settings for name in tries.chain(self.lab, run) if (found := tries.try_of(self.lab.job(name)))]
        return repair(case.of_run(self.lab, run), self.diagnose(run), self.limits(), tried)

    def retry(self, run: str, *, asked: bool = False) -> str:
        """Try a failed run again with what the diagnosis changes; the new run's id.

        Raises UserError with the reason where it may not be, or where nothing can be done about its cause. `asked`: by the person, who
        may want more tries than the advisor makes by itself.
        """
        allowed = tries.policy(self.lab.home)
        why_not = tries.may_be_tried(self.lab, run, tries.Policy(minutes=7 * 24 * 60) if asked else allowed)
        if why_not:
            raise UserError(why_not, "Change the plan and start it anew.", code="not_tried_again")
        found = self.repair(run)
        if found is None:
            raise UserError("Nothing can be changed about its cause without asking you.", "See what was found.", code="no_repair")
        names = tries.chain(self.lab, run)
        why = tries.Try(
            of=run, first=names[0], number=len(names), rule=found.finding.rule, words=found.words, settings=found.settings,
            remembered=found.remembered,
        )  # fmt: skip
        plan = found.plan(case.of_run(self.lab, run).asked).model_dump()
        with disk.writing(self.lab.home):
            return tries.begin(self.lab, run, why, plan, tries.left(self.lab, run, allowed))

    def tend(self) -> tuple[str, ...]:
        """Try again what failed since, as far as the person allows; ids of the runs begun. The app asks this every few seconds."""
        allowed = tries.policy(self.lab.home)
        begun: list[str] = []
        for row in self.lab.runs()[: tries.NEW]:
            run = str(row["id"])
            if row["kind"] != "train" or row["state"] not in tries.FAILED or run in self._settled:
                continue
            if not tries.may_be_tried(self.lab, run, allowed):
                try:
                    begun.append(self.retry(run))
                except UserError as error:
                    self._settled[run] = str(error)  # told in its card; asking again would give the same answer
        return tuple(begun)

    def story(self, run: str) -> tuple[tries.Told, ...]:
        """The chain a run belongs to: what happened in each, on what evidence, what was changed, what came of it."""
        told: list[tries.Told] = []
        for name in tries.chain(self.lab, run):
            view, why, cause = self.lab.view(name), tries.try_of(self.lab.job(name)), self.diagnose(name).cause
            evidence = tuple(evidence.words for evidence in cause.evidence) if cause else ()
            told.append(
                tries.Told(
                    run=name, state=view.state, changed=why.words if why else "", happened=cause.words if cause else "",
                    evidence=evidence, came_of_it=tries.came_of(view),
                )
            )  # fmt: skip
        return tuple(told)

    def _points(self, run: str) -> tuple[Point, ...]:
        """What one run teaches; read once its end is known."""
        if run not in self._learned:
            try:
                found = tuple(of_run(case.of_run(self.lab, run)))
            except (UserError, ValidationError):  # not a training of an adapter, or of a version whose plans were others
                found = ()
            if self.lab.view(run).active:
                return found
            self._learned[run] = found
        return self._learned[run]
