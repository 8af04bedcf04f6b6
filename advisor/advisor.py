"""The advisor's facade: everything the app, the command line or a notebook can ask it. Thin over Lab, beside which it stands.

advisor = Advisor(Lab())
advisor.diagnosis.diagnose(run).cause
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from advisor.assistant import load
from advisor.assistant.assistant import AnswerPart, Assistant
from advisor.diagnosis import case, preflight
from advisor.diagnosis.findings import Diagnosis
from advisor.diagnosis.runs import Runs
from advisor.proposals import learned, pilots, trials
from advisor.proposals.describe import Described, Goal, describe
from advisor.proposals.keywords import Understood, understand
from advisor.proposals.larger import larger
from advisor.proposals.next_step import NextStep, begin_step, next_step
from advisor.proposals.pilots import Offer, Tested
from advisor.proposals.propose import begin, propose, rules_out
from advisor.repair import retry, tries
from advisor.repair.repair import Repair
from advisor.repair.tries import Policy, Told
from advisor.tasks import known_plan
from advisor.text import READING_TASKS
from advisor.words.annotations import Annotation, notes
from advisor.words.first import answer_first
from advisor.words.remembered import Remembered, note, remembered
from advisor.words.story import Story, story
from advisor.words.summary import RunSummary
from loralab.core.errors import LabError, UserError
from loralab.core.records import DatasetProfile, Plan, Proposal
from loralab.lab import DataFix, Lab, Limits


class Advisor:
    """What is known about the runs and plans of one workspace. Cheap to make; everything it says is derived from the runs' logs."""

    def __init__(self, lab: Lab | None = None) -> None:
        self.lab = lab or Lab()
        self._settled: dict[str, str] = {}
        self._limits: tuple[str, Limits] = ("", Limits())
        self._runs = Runs(self.lab)
        self._foreseen: dict[tuple[str, str, float], DataFix] = {}

    def diagnose(self, run: str) -> Diagnosis:
        """What went wrong in a run, the likeliest cause first; while it goes on, what can be said already."""
        return self._runs.diagnose(run)

    def remember(self, run: str) -> Diagnosis:
        """Diagnose a run and, once it has ended, write what was found into the memory."""
        found = self.diagnose(run)
        if not self.lab.view(run).active:
            note(self.lab, found)
        return found

    def remembered(self) -> Remembered:
        """What the memory holds, in plain words. Searching, forgetting, export and import: `lab.history.memories`."""
        return remembered(self.lab)

    def preflight(self, plan: Plan | dict[str, Any], profile: DatasetProfile | None = None) -> Diagnosis:
        """What would go wrong with a plan, known before the first update. Raises UserError where its examples cannot be read."""
        typed = known_plan(plan)
        return self._runs.before(typed, preflight.preflight(self.lab, typed, profile, self._runs.earlier(typed.model_dump())))

    # ---- plans -----------------------------------------------------------------------------------------------------------
    def propose(self, profile: DatasetProfile, model: str = "starter", **changes: Any) -> Proposal:
        """As Lab.propose, moved by what this computer's own runs say and out of what is remembered to fail; the reasons name the runs."""
        return propose(self.lab, profile, model, changes, self.limits(), self._runs.earlier)

    def start(self, plan: Plan | dict[str, Any] | Proposal, *, profile: DatasetProfile | None = None, anyway: bool = False) -> str:
        """As Lab.start, unless the preflight finds what is certain to spoil the run or a remembered failure rules the plan out.

        Raises UserError then; `anyway` overrules both.
        """
        if not anyway:
            preflight.insist(self.preflight(plan.plan if isinstance(plan, Proposal) else plan, profile))
        return begin(self.lab, plan, self.limits(), anyway=anyway)

    def test_first(self, plan: Plan | dict[str, Any], profile: DatasetProfile) -> tuple[str, ...]:
        """Three short runs with other learning rates; the best begins the whole run by itself (`tend`). Their ids, the usual one first.

        Raises UserError as `start` does where the preflight finds what is certain to spoil them.
        """
        preflight.insist(self.preflight(plan, profile))
        typed = known_plan(plan)
        tried = [rate for rate in trials.values(typed.learning_rate, trials.MIN_RATE, trials.MAX_RATE) if self._may_be(typed, rate)]
        return trials.begin(self.lab, typed, self.lab.updates(typed, profile), tried)

    def next_step(self, run: str) -> NextStep | None:
        """The one thing that would help a run that has ended most, with its minutes here; None where nothing suggests itself.

        Where ways out were tried (`try_first`), what was seen decides, and the step says it.
        """
        found, tested = self.diagnose(run), pilots.tested(self.lab, run)
        return (pilots.step_after(self.lab, tested, found) if tested else None) or next_step(self.lab, found)

    # ---- trying before telling -------------------------------------------------------------------------------------------
    def would_try(self, run: str) -> Offer | None:
        """What would be tried for a run before a step is told, and what that costs; None where it was tried or needs no test."""
        if pilots.tested(self.lab, run):
            return None
        return pilots.offer(self.lab, self.diagnose(run), tries.policy(self.lab.home).try_minutes, self._may_be)

    def try_first(self, run: str) -> tuple[str, ...]:
        """Try what would help a run, in short trainings that wait for each other; their ids.

        Raises UserError where a person has not allowed it (`allow`), the machine is not free or nothing is to be tried.
        """
        if not tries.policy(self.lab.home).try_first:
            raise UserError("You have not allowed that anything is tried first.", "Allow it once.", code="not_allowed")
        offered = self.would_try(run)
        if offered is None:
            raise UserError("There is nothing to try for this run.", "Look at what it learned.", code="nothing_to_try")
        return pilots.begin(self.lab, offered)

    def tested(self, run: str) -> Tested | None:
        """The test of what would help a run: at work, with the time it still takes, or what was seen."""
        return pilots.tested(self.lab, run)

    def cancel_test(self, run: str) -> None:
        """End the test of what would help a run."""
        pilots.cancel(self.lab, run)

    def allow(self, **changes: Any) -> Policy:
        """Change what the advisor may do by itself: `try_first`, `try_minutes`, `retry`, `tries`, `minutes`."""
        return tries.allow(self.lab.home, changes)

    def improve(self, step: NextStep) -> str:
        """Begin the run that takes a step, as a child of the one it is about; its id. Raises UserError as `start` does."""
        proposal, origin = begin_step(self.lab, step)
        here = self.lab.check_model(model := str(proposal.plan["base_model"])).present
        if here:
            preflight.insist(self.preflight(proposal.plan))
        else:  # fetched first: the training waits for its turn behind that, and nothing is remembered of a model that never was here
            self.lab.download(model)
        return begin(self.lab, proposal, self.limits(), anyway=not here, origin=origin)

    def _may_be(self, plan: Plan, rate: float) -> bool:
        """Whether no remembered failure rules this learning rate out. The usual one is the plan's own affair."""
        return rate == plan.learning_rate or not rules_out(self.lab, plan.model_copy(update={"learning_rate": rate}), self.limits())

    def put_right(self, operation: str, plan: Plan | dict[str, Any]) -> DataFix:
        """Do with a plan's examples what a finding advises, into a new file. Raises UserError where nothing would change."""
        return self.lab.fix_data(operation, self.lab.typed(plan))

    def would_leave(self, operation: str, plan: Plan | dict[str, Any]) -> DataFix | None:
        """What putting a plan's examples right would change; None where it can or need not be done. Nothing is written."""
        typed = self.lab.typed(plan)
        try:
            stamp = operation, typed.model_dump_json(include={"dataset", "max_length", "learn_from", "roles"}), _changed(typed.dataset)
            if stamp not in self._foreseen:
                self._foreseen = {stamp: self.lab.fix_data(operation, typed, look_only=True)}
            return self._foreseen[stamp]
        except (LabError, OSError):
            return None

    def understand(self, text: str) -> Understood:
        """Which kind of thing a line of plain words names, or what to ask about it. Nothing is guessed."""
        return understand(text)

    def describe(self, goal: Goal, model: str = "") -> Described:
        """A complete plan for a goal before there is any data, and the examples it takes. `model`: where the person chose one."""
        return describe(self.lab, goal, model)

    # ---- trying again ----------------------------------------------------------------------------------------------------
    def limits(self) -> Limits:
        """What failed and what is known to fit, of all runs that are remembered; read anew when one more is."""
        memories = self.lab.history.memories
        newest = [(memory.run, memory.ended) for memory in memories.recent(1)]
        stamp = str((memories.counts(), newest))
        if self._limits[0] != stamp:
            self._limits = (stamp, learned.limits(self.lab))
        return self._limits[1]

    def repair(self, run: str) -> Repair | None:
        """What a failed run would be tried again with; None where nothing may be done without asking."""
        return retry.repair_of(self.lab, run)

    def retry(self, run: str, *, asked: bool = False) -> str:
        """Try a failed run again with what the diagnosis changes; the new run's id.

        Raises UserError with the reason where it may not be, or where nothing can be done about its cause. `asked`: by the person, who
        may want more tries than the advisor makes by itself.
        """
        return retry.retry(self.lab, run, asked=asked)

    def tend(self) -> tuple[str, ...]:
        """Try again what failed since, as far as the person allows; ids of the runs begun. The app asks this every few seconds."""
        return retry.start_due_retries(self.lab, self._settled)

    def tries(self, run: str) -> tuple[Told, ...]:
        """The chain a run belongs to: what happened in each, on what evidence, what was changed, what came of it."""
        return retry.retry_chain(self.lab, run)

    def goes_on_from(self, run: str) -> tuple[str, ...]:
        """The runs that a run was begun after by itself: the one it is the next try of, or the tests it took its setting from."""
        return retry.begun_after(self.lab, run)

    # ---- in words --------------------------------------------------------------------------------------------------------
    @cached_property
    def assistant(self) -> Assistant:
        """Answers with the language model that was chosen, and without one as well; `assistant.close()` frees its memory."""
        return load.load(self.lab)

    def reload_assistant(self) -> None:
        """Free the language model: the one that is chosen now is loaded with the next question."""
        if "assistant" in self.__dict__:
            self.assistant.close()
            del self.__dict__["assistant"]

    def story(self, run: str) -> Story:
        """What happened in a run, on what evidence, what was changed and what came of it; made without a language model, at once."""
        return story(self._summary(run))

    def answer(self, run: str, question: str, *, rules_only: bool = False) -> Iterator[AnswerPart]:
        """The answer to a question about a run, part by part: the rules' words first; where they have none, what a language model adds."""
        return self.assistant.answer(self._summary(run), question, rules_only=rules_only)

    def answer_first(self, question: str) -> str:
        """The answer to a question that is asked before there is a run."""
        return answer_first(question)

    def annotations(self, run: str) -> tuple[Annotation, ...]:
        """Short notes for the run's charts, each at its update."""
        return notes(self._summary(run))

    def _summary(self, run: str) -> RunSummary:
        of = case.of_run(self.lab, run)
        return RunSummary(of, self._runs.diagnose(run), larger(self.lab, of.plan.base_model) if of.plan.task in READING_TASKS else "")


def _changed(path: str) -> float:
    """When a file was last changed. Raises OSError."""
    return Path(path).stat().st_mtime
