"""`improve`: what would help a run most, tried first where a person says so, and begun. Invariant: the promises of loralab/cli/app.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from loralab import lab as facade
from loralab.cli.console import Home, Json, Output, Run, conclude, follow, newest
from loralab.core.errors import UserError
from loralab.core.words import about

if TYPE_CHECKING:
    from advisor.advisor import Advisor
    from advisor.proposals.next_step import NextStep

Try = Annotated[
    bool | None,
    typer.Option("--try-first/--no-try-first", help="Try what would help in short trainings before it is told. Said once, it is kept."),
]
Begin = Annotated[bool, typer.Option("--begin", help="Begin the run that does it, and follow it.")]


def improve(run: Run = "last", try_first: Try = None, begin: Begin = False, json: Json = False, home: Home = None) -> None:
    """What would help a run most and why; with --try-first what was seen when it was tried, with --begin the run that does it."""
    from advisor.advisor import Advisor
    from advisor.proposals.trials import pilot_of
    from advisor.repair import tries

    lab, out = facade.Lab(home), Output(json)
    advisor, name = Advisor(lab), newest(lab, run, trained=True)
    if (trial := pilot_of(lab, name)) and trial.of:  # the newest run is one that tried something: what is asked about is what it was for
        name = trial.of
    if try_first is not None:
        advisor.allow(try_first=try_first)
    if tries.policy(lab.home).try_first:
        _tried(advisor, name, out)
    step = advisor.next_step(name)
    if begin and step and step.helps:
        conclude(lab, advisor.improve(step), out)
        return
    if begin:
        raise UserError("Nothing is known that would make this run better.", "More examples, or clearer ones, help most.", code="no_step")
    tested = advisor.tested(name)
    told = {"step": step.model_dump() if step else None, "tested": tested.model_dump() if tested else None}
    out.give(told, _said(step))


def _tried(advisor: Advisor, run: str, out: Output) -> None:
    """Try what would help, where it was not and something is to be tried: what it costs is said before."""
    offered, at_work = advisor.would_try(run), advisor.tested(run)
    if offered is not None:
        out.say(f"{offered.words} That takes {about(offered.seconds)}; Ctrl-C ends it.")
        advisor.try_first(run)
        at_work = advisor.tested(run)
    while at_work is not None and at_work.active:
        out.say(f"Trying {at_work.number} of {len(at_work.runs)}: {at_work.now}; {about(at_work.seconds_left)} left.")
        if follow(advisor.lab, at_work.working, out).state == "stopped":
            advisor.cancel_test(run)
        at_work = advisor.tested(run)


def _said(step: NextStep | None) -> str:
    if step is None:
        return "The advisor knows of nothing that would make this run better by itself. More examples, or clearer ones, help most."
    if not step.helps:
        return f"Nothing that was tried did better than the run as it is. {step.tried}"
    return " ".join(filter(None, (step.words, step.why, step.tried)))
