"""The commands that begin something on the advisor's word: retry, describe, pilot. Invariant: the promises of loralab/cli/app.py."""

from __future__ import annotations

from typing import Annotated

import typer

from advisor.proposals.kinds import KINDS, LENGTHS
from loralab import lab as facade
from loralab.cli.console import (
    Detach,
    File,
    Home,
    Json,
    Model,
    Output,
    Role,
    Run,
    Set,
    TakeGuess,
    chosen,
    conclude,
    confirmed,
    follow,
    model_for,
    newest,
    pairs,
    source,
    told_guess,
)
from loralab.core.errors import UserError

Words = Annotated[str, typer.Argument(metavar="GOAL", help="What it should do, in a few words: “answer like our support team”")]


def retry(run: Run = "last", detach: Detach = False, json: Json = False, home: Home = None) -> None:
    """Try a failed run again with what its diagnosis changes, and tell the story of all tries."""
    from advisor.advisor import Advisor

    lab, out = facade.Lab(home), Output(json)
    advisor = Advisor(lab)
    begun = advisor.retry(newest(lab, run), asked=True)
    if detach:
        out.give({"run": begun}, f"Started {begun}. See it with: python -m loralab show {begun}")
        return
    follow(lab, begun, out)
    told = advisor.tries(begun)
    lines = [f"{one.run}: {one.changed} {one.happened} {one.came_of_it}" for one in told]
    out.give({"run": begun, "tries": [one.model_dump() for one in told]}, "\n".join(" ".join(line.split()) for line in lines))


Kind = Annotated[str, typer.Option("--kind", help=f"What it should do: {', '.join(KINDS)}. If left out, the words in GOAL decide.")]
Language = Annotated[str, typer.Option("--language", help="The language it writes, such as German. If left out: that of the examples.")]
HowLong = Annotated[str, typer.Option("--length", help="short or long. If left out: as long as the examples.")]


def describe(
    goal: Words = "",
    model: Model = "",
    kind: Kind = "",
    language: Language = "",
    length: HowLong = "",
    json: Json = False,
    home: Home = None,
) -> None:
    """Describe what you want: a complete plan that fits this computer, and the examples it takes."""
    if not kind:
        kind = _kind_of(goal)
    if kind not in KINDS:
        raise UserError(f"There is no kind “{kind}”.", f"Choose one of: {', '.join(KINDS)}.", code="no_kind")
    if length not in LENGTHS:
        raise UserError(f"There is no length “{length}”.", "Choose one of: short, long.", code="no_length")
    from advisor.advisor import Advisor
    from advisor.proposals.describe import Goal

    wanted = Goal.model_validate({"kind": kind, "language": language.strip()[:40], "length": length, "text": goal[:300]})
    found = Advisor(facade.Lab(home)).describe(wanted, model)
    needs = "\n".join(f"  - {line}" for line in found.needs)
    row = ", ".join(f"{column}: “{text}”" for column, text in found.sample.items())
    Output(json).give(found.model_dump(), f"{found.words}\n{needs}\n  One row as an example: {row}")


def _kind_of(goal: str) -> str:
    """The kind that plain words name. Raises UserError with what to choose from where they do not."""
    from advisor.proposals.keywords import understand

    found = understand(goal)
    if found.kind:
        return found.kind
    ways = "; ".join(f"--kind {name} ({KINDS[name].means})" for name in found.ask)
    raise UserError(found.words, f"Say which: {ways}.", code="which_kind")


def pilot(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    file: File,
    model: Model = "",
    settings: Set = None,
    role: Role = None,
    yes: TakeGuess = False,
    detach: Detach = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Train, but test three learning rates in short runs first and begin the whole run with what did best."""
    from advisor.advisor import Advisor
    from advisor.proposals.trials import chosen_because

    lab, out = facade.Lab(home), Output(json)
    advisor = Advisor(lab)
    model = model_for(lab, str(file), model)
    profile = lab.profile(source(lab, str(file)), model, roles=pairs(role, "--role") or None)
    for line in told_guess(profile):
        out.say(line)
    proposal = advisor.propose(profile, model, **chosen(settings))
    confirmed(proposal, yes=yes)
    names = advisor.test_first(proposal.plan, profile)
    if detach:
        out.give({"tests": names}, f"{len(names)} tests have begun: {', '.join(names)}. The app begins the whole run after them.")
        return
    for name in names:
        follow(lab, name, out)
    (whole,) = advisor.tend()
    out.say(chosen_because(lab.job(whole)))
    conclude(lab, whole, out)
