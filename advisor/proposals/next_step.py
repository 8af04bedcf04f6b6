"""The one thing that would help a run most: what the diagnosis advises first, as a run of its own that can be begun with a click.

Invariants: what a child of the run was begun with is not offered again, whatever is said of it by then (what other runs have answered, the
diagnosis leaves out by itself); and what is begun says in its job what it is of.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import Field

from advisor.diagnosis.findings import Diagnosis, Finding, Fix
from advisor.tasks import is_pictures
from advisor.text import given_roles
from loralab.core.errors import UserError
from loralab.core.jobs import Improvement, TrainJob
from loralab.core.records import Proposal, Record
from loralab.core.words import times
from loralab.lab import OPERATIONS, Lab

NO_SETTINGS = frozenset(
    {"task", "title", "base_model", "dataset", "roles", "guessed", "learn_from"}
)  # what a plan is of, not how it is trained
ENOUGH_CONFIDENCE = 0.4  # of a finding that only informs: below that it is no reason to train again


class NextStep(Record):
    """What would help, why, and what it takes: other settings, or something done with the examples."""

    run: str
    rule: str
    words: str  # a sentence in the imperative
    title: str = ""  # what is wrong, in a few words
    why: str
    settings: dict[str, Any] = Field(default_factory=dict)
    data: str = ""
    rows: int = 0  # examples that `data` concerns
    model: str = ""  # another base model to learn with, planned anew for it
    download_bytes: int = 0  # of that model, where it is not here yet
    seconds: float | None = None  # of the run it begins
    tried: str = ""  # what was seen when it was tried
    helps: bool = True  # False: it was tried, and did no better than the run as it is, by more than chance


def next_step(lab: Lab, diagnosis: Diagnosis) -> NextStep | None:
    """The first way out that can be begun and that nobody in the family has tried; None where there is none."""
    return next(steps(lab, diagnosis), None)


def steps(lab: Lab, diagnosis: Diagnosis) -> Iterator[NextStep]:
    """All such ways out, the likeliest to help first."""
    run, job = diagnosis.run, lab.job(diagnosis.run)
    tried = list(_children(lab, run))
    for finding, fix in _ways(diagnosis):
        after = job.plan | fix.settings
        if (fix.settings or fix.data in OPERATIONS) and not any(_same(after, fix, plan, data) for plan, data in tried):
            seconds = planned(lab, after, other_model="base_model" in fix.settings).footprint.seconds if fix.settings else None
            yield NextStep(
                run=run,
                rule=finding.rule,
                words=in_plain_words(fix, job.plan),
                title=finding.title,
                why=finding.words,
                settings=fix.settings,
                data=fix.data,
                rows=fix.rows,
                model=(model := str(fix.settings.get("base_model", ""))),
                download_bytes=0 if not model or (check := lab.check_model(model)).present else check.download_bytes,
                seconds=seconds,
            )


def is_begun(lab: Lab, step: NextStep) -> bool:
    """Whether a child of the run was begun with what a step asks for."""
    after, fix = lab.job(step.run).plan | step.settings, Fix(words=step.words, settings=step.settings, data=step.data)
    return any(_same(after, fix, plan, data) for plan, data in _children(lab, step.run))


def in_plain_words(fix: Fix, plan: dict[str, Any]) -> str:
    """A way out without a term of art, where it changes what can be said so; otherwise its own words."""
    match fix.settings:
        case {"learning_rate": float(after), **others} if not others:
            return "Let it learn in smaller steps." if after < plan["learning_rate"] else "Let it learn in bigger steps."
        case {"learning_rate": float(after), "alpha": float(scale), **others} if not others:
            return f"Let it learn in {'smaller' if after * scale < plan['learning_rate'] * plan['alpha'] else 'bigger'} steps."
        case {"epochs": float(after), **others} if set(others) <= {"max_steps"}:
            what = "pictures" if is_pictures(plan) else "examples"
            return f"Go over the {what} {_often(after)} instead of {_often(plan['epochs'])}."
        case _:
            return fix.words


def begin_step(lab: Lab, step: NextStep) -> tuple[Proposal, Improvement]:
    """The plan of the run that takes the step, and what it is of. Raises UserError where its examples are gone or nothing would change."""
    plan = lab.job(step.run).plan | step.settings
    if step.data:
        plan = plan | {"dataset": lab.fix_data(step.data, lab.typed(plan)).path}
    return planned(lab, plan, other_model="base_model" in step.settings), Improvement(
        of=step.run, rule=step.rule, words=step.words, settings=step.settings, data=step.data
    )


def _ways(diagnosis: Diagnosis) -> Iterator[tuple[Finding, Fix]]:
    for finding in diagnosis.findings:
        if finding.confidence >= ENOUGH_CONFIDENCE or finding.severity != "info":
            yield from ((finding, fix) for fix in finding.fixes)


def planned(lab: Lab, plan: dict[str, Any], *, other_model: bool = False) -> Proposal:
    """A plan with what it needs here: every setting as it is in `plan`, but for another model."""
    model = str(plan["base_model"])
    reader = model if lab.check_model(model).present else "starter"  # counts the tokens
    profile = lab.profile(plan["dataset"], reader, given_roles(plan), plan.get("learn_from", "replies"))
    fixed = {name: value for name, value in plan.items() if name not in NO_SETTINGS}
    if other_model:  # what was right for one model is wrong for another: it is planned anew
        return lab.propose(profile, model=model, title=plan.get("title", ""), learn_from=plan.get("learn_from", "replies"))
    found = lab.propose(profile, model=model, **fixed)
    return found.model_copy(update={"plan": plan})


def _often(rounds: float) -> str:
    return times(int(rounds)) if rounds == int(rounds) else f"{rounds:g} times"


Tried = tuple[dict[str, Any], str]  # a plan, and what had been done with its examples for it


def _children(lab: Lab, run: str) -> Iterator[Tried]:
    for name in lab.names():
        try:
            job = lab.job(name)
        except UserError:  # a job that cannot be read is nobody's child
            continue
        if isinstance(job, TrainJob) and isinstance(job.origin, Improvement) and job.origin.of == run:
            yield job.plan, job.origin.data


def _same(after: dict[str, Any], fix: Fix, plan: dict[str, Any], data: str) -> bool:
    """Whether a plan has what a way out would bring."""
    if fix.data:
        return fix.data == data
    return all(plan.get(name) == after[name] for name in fix.settings)
