"""The next try of a failed run, from its diagnosis and from what all runs before it taught, and the story of that.

Invariant: what is done here is told in the job of the run it begins, so that another app, the memory and a person find the same story.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from filelock import FileLock, Timeout

from advisor.diagnosis import case
from advisor.diagnosis.diagnose import diagnose
from advisor.diagnosis.findings import Finding
from advisor.proposals import trials
from advisor.proposals.learned import limits
from advisor.repair import tries
from advisor.repair.repair import Repair, repair
from loralab.core import disk
from loralab.core.errors import UserError
from loralab.core.jobs import AfterTrials, Retry, TrainJob
from loralab.lab import Lab

WEEK_SECONDS = 7 * 24 * 3600.0  # seconds that a try may take which a person asks for


def repair_of(lab: Lab, run: str) -> Repair | None:
    """What a failed run would be tried again with; None where nothing may be done without asking."""
    failed = case.of_run(lab, run)
    tried = [found.settings for name in tries.chain(lab, run) if (found := tries.try_of(lab.job(name)))]
    return repair(failed, diagnose(failed), limits(lab), tried)


def retry(lab: Lab, run: str, *, asked: bool = False) -> str:
    """Begin the next try of a run; its id. Raises UserError where it may not be, or where nothing can be changed about the cause."""
    allowed = tries.policy(lab.home)
    why_not = tries.may_be_tried(lab, run, allowed, asked=asked)
    if why_not:
        raise UserError(why_not, "Change the plan and start a new run.", code="not_tried_again")
    found = repair_of(lab, run)
    if found is None:
        raise UserError("Nothing may be changed about its cause without asking you.", "Read what was found, and decide.", code="no_repair")
    names = tries.chain(lab, run)
    why = Retry(
        of=run,
        first=names[0],
        number=len(names),
        rule=found.finding.rule,
        words=found.words,
        settings=found.settings,
        remembered=found.remembered,
    )
    plan: dict[str, Any] = found.plan(case.of_run(lab, run).asked).model_dump()
    with disk.writing(lab.home):
        return tries.begin(lab, run, why, plan, WEEK_SECONDS if asked else tries.left(lab, run, allowed))


def start_due_retries(lab: Lab, settled: dict[str, str]) -> tuple[str, ...]:
    """Try again what failed since, and begin the whole run where its tests have ended; ids of the runs begun.

    `settled` keeps for which runs nothing can be done, and why, so that they are not asked about again.
    """
    allowed, recent = tries.policy(lab.home), lab.runs()[: tries.RECENT_RUNS]
    begun = [*_after_tests(lab, recent, settled)]
    for row in recent:
        run = str(row["id"])
        if row["kind"] != "train" or row["state"] not in tries.FAILED or run in settled or trials.pilot_of(lab, run):
            continue
        if not tries.may_be_tried(lab, run, allowed):
            try:
                begun.append(retry(lab, run))
            except UserError as error:
                settled[run] = str(error)
    return tuple(begun)


def _after_tests(lab: Lab, recent: list[dict[str, Any]], settled: dict[str, str]) -> Iterator[str]:
    """Begin what was tested first, with what the test came to; once, also with two apps open."""
    for names in trials.waiting(lab, recent):
        if names[0] in settled:
            continue
        try:
            with FileLock(lab.home / "tries.lock", timeout=tries.LOCK_SECONDS):
                if names in trials.waiting(lab, lab.runs()[: tries.RECENT_RUNS]):
                    yield trials.follow(lab, names)
        except (UserError, Timeout) as error:
            settled[names[0]] = str(error)


def retry_chain(lab: Lab, run: str) -> tuple[tries.Told, ...]:
    """The chain a run belongs to as sentences."""
    found: list[tries.Told] = []
    for name in tries.chain(lab, run):
        view, why, cause = lab.view(name), tries.try_of(lab.job(name)), _cause(lab, name)
        evidence = tuple(one.words for one in cause.evidence) if cause else ()
        found.append(
            tries.Told(
                run=name,
                state=view.state,
                changed=why.words if why else "",
                happened=cause.words if cause else "",
                evidence=evidence,
                came_of_it=tries.outcome_words(view, first=why is None),
            )
        )
    return tuple(found)


def begun_after(lab: Lab, run: str) -> tuple[str, ...]:
    """The runs that a run was begun after by itself: the one it is the next try of, or the tests it took its setting from."""
    job = lab.job(run)
    if why := tries.try_of(job):
        return (why.of,)
    origin = job.origin if isinstance(job, TrainJob) else None
    if not isinstance(origin, AfterTrials):
        return ()
    names = [str(row["id"]) for row in lab.runs()[: tries.RECENT_RUNS]]
    return tuple(name for name in names if (trial := trials.pilot_of(lab, name)) and trial.group == origin.group)


def _cause(lab: Lab, run: str) -> Finding | None:
    """The likeliest cause; none of a run that trained no text adapter, of which the rules know nothing."""
    try:
        return diagnose(case.of_run(lab, run)).cause
    except UserError:
        return None
