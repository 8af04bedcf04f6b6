"""The case: everything a rule may look at, for a plan that has not run yet or for a run.

Invariant: a case is made once and never changes; what is absent is None, and a rule that needs it stays silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from advisor.diagnosis.course import Course
from advisor.diagnosis.earlier import Earlier
from advisor.diagnosis.signals import Signals
from advisor.tasks import DrawPlan, PicturePlan, draws, is_known, is_pictures, known_plan
from advisor.text import TextPlan, given_roles, is_text
from loralab.core.errors import LabError, UserError
from loralab.core.events import RunView, adjusted
from loralab.core.facts import Facts
from loralab.core.records import DatasetProfile, Footprint, Plan
from loralab.lab import Lab, Machine, ModelChoice


@dataclass(frozen=True)
class Case:
    """A plan, and what is known of its examples, its model, the machine and, once it ran, what happened."""

    plan: Plan  # as it now is
    asked: Plan  # as it was before anything was changed while running
    facts: Facts | None = None
    profile: DatasetProfile | None = None
    machine: Machine | None = None
    view: RunView | None = None  # None: it has not run
    log: str = ""  # the end of the worker's log
    models: tuple[ModelChoice, ...] = ()  # as cards for these examples: before a run, and after one that came to nothing
    needs: Footprint | None = None  # what the plan was foretold to need, before a run
    earlier: tuple[Earlier, ...] = ()  # runs of this model on these examples, the oldest first: before a run
    judged: Mapping[str, Any] = field(default_factory=dict[str, Any])  # of pictures, after the verdict: `rows` and `tables` it rests on

    @property
    def text(self) -> TextPlan:
        """The plan as it now is, for rules that declare the text task alone."""
        return _text(self.plan)

    @property
    def asked_text(self) -> TextPlan:
        """The plan as it was asked for, likewise."""
        return _text(self.asked)

    @property
    def pictures(self) -> PicturePlan:
        """The plan as it now is, for rules that declare tasks on pictures alone."""
        return _pictures(self.plan)

    @property
    def asked_pictures(self) -> PicturePlan:
        """The plan as it was asked for, likewise."""
        return _pictures(self.asked)

    @property
    def drawing(self) -> DrawPlan:
        """The plan as it now is, for rules that declare drawing alone."""
        if not isinstance(self.plan, DrawPlan):
            raise TypeError(f"a rule about drawing was asked about “{self.plan.task}”")
        return self.plan

    @cached_property
    def signals(self) -> Signals:
        """What the run's curves say; empty curves before a run."""
        return Signals(self.view or RunView(run=""))

    @cached_property
    def course(self) -> Course:
        """What was planned against what ran: rounds, updates, what ended it."""
        return Course(self.asked, self.plan, self.facts, self.view)

    @property
    def ran(self) -> bool:
        """Whether at least one update was made."""
        return bool(self.view and self.view.steps)

    @property
    def scale(self) -> float:
        """By what an adapter's output is multiplied: alpha / rank, or alpha / sqrt(rank) where it is rank-stabilised."""
        if isinstance(self.plan, PicturePlan):
            return self.plan.loudness
        if isinstance(self.plan, DrawPlan):
            return 1.0  # alpha is the rank
        plan = self.text
        return plan.alpha / (plan.rank**0.5 if plan.use_rslora else plan.rank)

    @property
    def effective_rate(self) -> float:
        """Learning rate times the adapter's scale: what tells how big a correction is whatever rank and alpha are."""
        return self.plan.learning_rate * self.scale * self.text.lora_plus


def of_run(lab: Lab, run: str) -> Case:
    """The case of a run. Raises UserError when there is no such run or it trained nothing that the rules know."""
    plan = lab.job(run).plan
    if not is_known(plan):
        raise UserError("Only runs that trained on text or pictures can be diagnosed.", "Choose such a run.", code="not_a_training")
    try:
        view = lab.view(run)
        of = of_view(plan, view, lab.machine(), lab.log(run))
        return replace(of, models=_models(lab, plan, view), judged=lab.verdict_rests_on(run) if is_pictures(plan) or draws(plan) else {})
    except ValidationError as error:
        raise UserError("This run's plan is from another version and cannot be read.", "Start a new run.", code="bad_plan") from error


def _models(lab: Lab, plan: dict[str, Any], view: RunView) -> tuple[ModelChoice, ...]:
    """What else could learn the examples, where a run's answers were of no use; nothing where they cannot be read any more."""
    if not is_text(plan) or view.conclusion is None or view.conclusion.usable != "no":
        return ()
    try:
        return lab.model_choices(lab.profile(str(plan.get("dataset", "")), roles=given_roles(plan)))
    except LabError:
        return ()


def of_view(plan: dict[str, object], view: RunView, machine: Machine | None = None, log: str = "") -> Case:
    """The case of a run whose events are at hand, for instance of a log kept from another machine."""
    asked = known_plan(plan)
    now = known_plan(adjusted(asked.model_dump(), view.adjustments))
    return Case(plan=now, asked=asked, facts=view.facts, machine=machine, view=view, log=log)


def _pictures(plan: Plan) -> PicturePlan:
    if not isinstance(plan, PicturePlan):
        raise TypeError(f"a rule about pictures was asked about “{plan.task}”")
    return plan


def _text(plan: Plan) -> TextPlan:
    if not isinstance(plan, TextPlan):
        raise TypeError(f"a rule about text was asked about “{plan.task}”")
    return plan
