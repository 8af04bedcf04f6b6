"""`python -m loralab voice`: which language model answers for the advisor. Invariant: the promises of loralab/cli/app.py."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loralab import lab as facade
from loralab.cli.console import Home, Json, Output, follow, succeed
from loralab.core.errors import UserError
from loralab.core.words import size

if TYPE_CHECKING:
    from loralab.lab import Lab

Use = Annotated[str, typer.Option("--use", metavar="FILE", help="Let this GGUF file speak; “none” leaves the rules alone.")]
Fetch = Annotated[str, typer.Option("--download", metavar="SIZE", help="Fetch a model: small or large. You are asked first.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; the size is told all the same.")]


def voice(use: Use = "", download: Fetch = "", yes: Yes = False, json: Json = False, home: Home = None) -> None:
    """Which language model speaks for the advisor: what is here, and what can be fetched. It works without one, too."""
    from advisor.assistant import models, offers

    lab, out = facade.Lab(home), Output(json)
    if use:
        models.pick(lab.home, None if use == "none" else Path(use))
    if download:
        _fetched(lab, download, out, yes=yes)
    speaks, here = models.chosen(lab.home), models.local_models(lab.home)
    lines = [f"Speaking: {speaks}" if speaks else "Speaking: the rules alone."]
    lines += [f"Here: {one.words}\n      {one.path}" for one in here]
    lines += [f"To fetch with --download {one.name}: {one.words} ({size(one.bytes)}, {one.licence})" for one in offers.OFFERS]
    out.give({"speaks": str(speaks or ""), "here": list(here), "offers": list(offers.OFFERS)}, "\n".join(lines))


def _fetched(lab: Lab, name: str, out: Output, *, yes: bool) -> None:
    from advisor.assistant import offers

    one = offers.offer(name)
    if one is None:
        raise UserError(f"There is no model called “{name}” to fetch.", "Choose small or large.", code="unknown_model")
    asked = offers.question(lab, one)
    out.say(asked)
    if yes or typer.confirm("Go on?", err=True):
        view = follow(lab, offers.fetch(lab, one), out)
        if view.state != "finished":
            out.say("Until then the rules answer alone, as before.")
        succeed(view)
