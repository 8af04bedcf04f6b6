"""Owns `pipeline`: one file from examples to what is taken away. Invariant: the promises of app.py; no step is done twice for nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loralab import lab as facade
from loralab.cli.console import Home, Json, Output, follow
from loralab.core.errors import UserError


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(pipeline)


def pipeline(
    recipe: Annotated[Path, typer.Argument(metavar="PLAN.yaml", help="What is to be done, in one file; or the name of a template.")],
    step: Annotated[
        str,
        typer.Argument(
            metavar="STEP", help="Go no further than this: setup, train, evaluate, export, serve, benchmark-onnx, publish; or clean."
        ),
    ] = "",
    why: Annotated[bool, typer.Option("--why", help="Do nothing; say which steps are due, and why.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Fetch the model where it is not here; take a guess about columns; publish.")] = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Set up, train, evaluate, export, serve, measure, publish as one file says; a step is skipped when nothing it is made from changed."""
    from loralab.pipeline.engine import STEPS
    from loralab.pipeline.steps import clean, opened

    if step and step not in (*STEPS, "clean"):
        raise UserError(f"There is no step called “{step}”.", f"Choose one of: {', '.join((*STEPS, 'clean'))}.", code="no_step")
    lab, out = facade.Lab(home), Output(json)
    known = {one.name: one.path for one in lab.templates()} if not recipe.exists() else {}
    written = facade.Written(Path(known.get(str(recipe), recipe)))
    if step == "clean":
        said = list(clean(lab, written))
        out.give({"removed": said}, "\n".join(said))
        return
    doing = opened(lab, written, out.say, lambda run: follow(lab, run, out), yes=yes, last=step)
    if why:
        due = doing.due(step)
        lines = [f"{one.step}: {one.why or 'nothing has changed'}." for one in due]
        out.give({"steps": [{"step": one.step, "due": bool(one.why), "why": one.why} for one in due]}, "\n".join(lines))
        return
    made = doing.run(step)
    told = made.get("evaluate", {})
    words = [str(told[name]) for name in ("learned_words", "usable_words") if told.get(name)]
    paths = [f"{one['format']} {one['variant']}".strip() + f": {one['path']}" for one in made.get("export", {}).get("exports", [])]
    out.give({"steps": made}, "\n".join([*words, *paths, *([f"Report: {told['report']}"] if told.get("report") else [])]))
