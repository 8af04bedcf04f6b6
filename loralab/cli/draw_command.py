"""Owns the command that draws with a run's model. Invariant: the promises of cli/app.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loralab import lab as facade
from loralab.cli.console import Home, Json, Output, Run, newest
from loralab.core.errors import UserError
from loralab.core.paths import write_atomic


def register(app: typer.Typer) -> None:
    """Add it to the command line."""
    app.command()(draw)


def draw(
    words: Annotated[str, typer.Argument(help="What it should draw.")],
    run: Run = "last",
    seed: Annotated[int, typer.Option(help="Another number, another drawing.")] = 0,
    strength: Annotated[float, typer.Option(help="How much of what it learned: 0 is none, 1 all, at most 1.5.")] = 1.0,
    out: Annotated[Path, typer.Option(help="Where the PNG goes.")] = Path("drawn.png"),
    json: Json = False,
    home: Home = None,
) -> None:
    """Draw words with what a run learned."""
    lab = facade.Lab(home)
    run = newest(lab, run)
    if not lab.draws(run):
        raise UserError("This run did not learn to draw.", "Choose a run on pictures with captions.", code="no_drawing_run")
    found = lab.draw(run, words, seed, strength)
    write_atomic(out, found.after)
    about = {"run": run, "caption": found.caption, "seed": seed, "strength": strength, "file": str(out)}
    Output(json).give(about, f"“{found.caption}” is drawn in {out}.")
