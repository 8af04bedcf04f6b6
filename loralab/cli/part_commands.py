"""Owns the command about the parts LoRALab works without. Invariant: the promises of app.py; what cannot be added changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from loralab import lab as facade
from loralab.cli import terminal
from loralab.cli.console import Home, Json, Output

if TYPE_CHECKING:
    from loralab.lab import Part, PartProgress


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(parts)


def parts(
    add: Annotated[str, typer.Option("--add", metavar="NAME", help="Fetch this one into LoRALab's own environment.")] = "",
    json: Json = False,
    home: Home = None,
) -> None:
    """The parts LoRALab works without: what each is for, what it takes, whether it is here; add one."""
    lab, out = facade.Lab(home), Output(json)
    if add:
        said: list[str] = []
        part = lab.add_part(add, lambda at: _tell(out, said, at), lambda: False)
        out.give({"part": part}, f"{part.title} is here.")
        return
    found = lab.parts()
    rows = [(part.name, _state(part), part.cost, part.licence, part.gives) for part in found]
    out.give({"parts": found}, terminal.table(rows, ("part", "", "takes", "licence", "it")))


def _state(part: Part) -> str:
    return "here" if part.present else "not here" if part.obstacle else "can be added"


def _tell(out: Output, said: list[str], at: PartProgress) -> None:
    """Each new thing once."""
    if at.words not in said:
        said.append(at.words)
        out.say(at.words)
