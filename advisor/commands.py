"""Owns the advisor's commands of `python -m loralab`. Invariant: the promises of loralab/cli.py."""

from __future__ import annotations

import typer

from advisor.advisor import Advisor
from loralab.console import Home, Json, Output, Run, newest
from loralab.lab import Lab


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (why,):
        app.command()(command)


def why(run: Run = "last", json: Json = False, home: Home = None) -> None:
    """What went wrong in a run, on what evidence, and what to do about it."""
    lab = Lab(home)
    found = Advisor(lab).diagnose(newest(lab, run))
    text = [
        f"{one.title}. {one.words}\n  " + "\n  ".join([e.words for e in one.evidence] + [f.words for f in one.fixes])
        for one in found.findings
    ]
    Output(json).give(found.model_dump(), "\n\n".join(text) or "Nothing went wrong that the advisor knows of.")
