"""Owns `templates`: list, find, save, take in. Invariant: the promises of app.py; a file that is there is never written over unasked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loralab import lab as facade
from loralab.cli import terminal
from loralab.cli.console import Home, Json, Output, newest
from loralab.core.errors import UserError
from loralab.core.words import size

if TYPE_CHECKING:
    from loralab.lab import Template


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(templates)


def templates(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    words: Annotated[list[str] | None, typer.Argument(metavar="TASK …", help="A task in plain words, English or German.")] = None,
    show: Annotated[str, typer.Option("--show", metavar="NAME", help="All that a template says.")] = "",
    add: Annotated[Path | None, typer.Option("--add", metavar="FILE", help="Take one in, from its .yaml or .zip.")] = None,
    save: Annotated[str, typer.Option("--save", metavar="RUN", help="Write this run as a template.")] = "",
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where it is written (default: RUN, here).")] = None,
    with_data: Annotated[bool, typer.Option("--with-data", help="Put its examples into it, too.")] = False,
    remove: Annotated[str, typer.Option("--remove", metavar="NAME", help="Take one of your own away.")] = "",
    json: Json = False,
    home: Home = None,
) -> None:
    """Recipes to begin with, found by describing a task; save a run as one, or take one in. `pipeline NAME` does one."""
    lab, printed = facade.Lab(home), Output(json)
    if add:
        found = lab.add_template(add)
        printed.give({"template": _told(found)}, f"{found.recipe.name} is here now: python -m loralab pipeline {found.name}")
    elif save:
        run = newest(lab, save, trained=True)
        place = (out or Path(f"{run}{'.zip' if with_data else '.yaml'}")).expanduser().resolve()
        if place.exists():
            raise UserError(f"There is a file {place.name} already.", "Name another with --out.", code="file_exists")
        place = lab.save_template(run, place, data=with_data)
        said = "with its examples" if with_data else "without its examples"
        printed.give({"run": run, "file": str(place), "data": with_data}, f"{place} ({size(place.stat().st_size)}, {said})")
    elif remove:
        lab.remove_template(remove)
        printed.give({"removed": remove}, f"{remove} is gone.")
    elif show:
        one = lab.template(show)
        printed.give({"template": _told(one)}, facade.recipe_text(one.recipe))
    else:
        _list(lab.templates(" ".join(words or ())), lab.domains(), printed, asked=bool(words))


def _list(found: tuple[Template, ...], domains: tuple[Any, ...], out: Output, *, asked: bool) -> None:
    rows = [(one.name, one.recipe.about, _minutes(one), "yours" if one.own else "") for one in found]
    text = terminal.table(rows, ("name", "what it does", "about", "")) if rows else "No template fits that. Left out, all are listed."
    fields = [] if asked else [(one.name, one.about) for one in domains]
    if fields:
        text += f"\n\nFields with words of their own, for making examples from documents:\n{terminal.table(fields, ('name', ''))}"
    told = {"templates": [_told(one) for one in found], "domains": [{"name": one.name, "title": one.title} for one in domains]}
    out.give(told, text)


def _minutes(one: Template) -> str:
    return f"{one.recipe.minutes:g} min" if one.recipe.minutes else ""


def _told(one: Template) -> dict[str, Any]:
    return {"name": one.name, "path": one.path, "own": one.own, "task": one.task, **one.recipe.model_dump(mode="json")}
