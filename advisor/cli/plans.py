"""Owns the commands that begin something on the advisor's word: retry, describe, pilot. Invariant: the promises of loralab/cli/app.py."""

from __future__ import annotations

from typing import Annotated, cast

import typer

from advisor.advisor import Advisor
from advisor.proposals.describe import MEANS
from advisor.proposals.trials import chosen_because
from advisor.proposals.wishes import Chosen
from advisor.text import text_plan
from loralab.cli.console import Detach, File, Home, Json, Model, Output, Run, Set, chosen, conclude, follow, newest, source
from loralab.core.errors import UserError
from loralab.lab import Lab
from loralab.planning.duration import total_steps

Wish = Annotated[str, typer.Argument(metavar="WISH", help="What it shall do: “answer like our support team, in German, short”")]


def retry(run: Run = "last", detach: Detach = False, json: Json = False, home: Home = None) -> None:
    """Try a failed run again with what its diagnosis changes, and tell the story of all tries."""
    lab, out = Lab(home), Output(json)
    advisor = Advisor(lab)
    begun = advisor.retry(newest(lab, run), asked=True)
    if detach:
        out.give({"run": begun}, f"Started {begun}. See it with: python -m loralab show {begun}")
        return
    follow(lab, begun, out)
    told = advisor.tries(begun)
    lines = [f"{one.run}: {one.changed} {one.happened} {one.came_of_it}" for one in told]
    out.give({"run": begun, "tries": [one.model_dump() for one in told]}, "\n".join(" ".join(line.split()) for line in lines))


Kind = Annotated[str, typer.Option("--kind", help=f"What kind of task it is: {', '.join(MEANS)}. Left out, it is read from the words.")]


def describe(wish: Wish, model: Model = "", kind: Kind = "", json: Json = False, home: Home = None) -> None:
    """Describe what you want: a complete plan that fits this computer, and the examples it takes."""
    if kind and kind not in MEANS:
        raise UserError(f"There is no kind of task “{kind}”.", f"It may be: {', '.join(MEANS)}.", code="no_kind")
    found = Advisor(Lab(home)).describe(wish, model, cast("Chosen", kind))
    others = "".join(f"\n  --kind {one:<10} {MEANS[one]}" for one in found.wish.likely[1:])
    needs = "\n".join(f"  - {line}" for line in found.needs)
    row = ", ".join(f"{column}: “{text}”" for column, text in found.sample.items())
    Output(json).give(found.model_dump(), f"{found.words}{others}\n{needs}\n  One row as an example: {row}")


def pilot(
    file: File, model: Model = "starter", settings: Set = None, detach: Detach = False, json: Json = False, home: Home = None
) -> None:
    """Train, but test three learning rates in short runs first and begin the whole run with what did best."""
    lab, out = Lab(home), Output(json)
    advisor = Advisor(lab)
    profile = lab.profile(source(lab, str(file)), model)
    plan = text_plan(advisor.propose(profile, model, **chosen(settings)).plan)
    names = advisor.test_first(plan, total_steps(plan, profile))
    if detach:
        out.give({"tests": names}, f"{len(names)} tests have begun: {', '.join(names)}. The app begins the whole run after them.")
        return
    for name in names:
        follow(lab, name, out)
    (whole,) = advisor.tend()
    out.say(chosen_because(lab.job(whole)))
    conclude(lab, whole, out)
