"""Owns the commands that give away and bring in: keep, publish, gallery. Invariant: the promises of cli.py; public is asked first."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loralab import lab as facade
from loralab.cli.console import Home, Json, Output, Run, newest
from loralab.core.words import count, size


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(keep)


def keep(
    run: Run = "last",
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE.zip", help="Where the file goes (default: RUN.zip, here).")] = None,
    with_data: Annotated[bool, typer.Option("--with-data", help="Put the examples into it, too.")] = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Keep everything of a run in one file, which `import` opens elsewhere into the same run."""
    lab = facade.Lab(home)
    of = newest(lab, run, trained=True)
    place = (out or Path(f"{of}.zip")).expanduser().resolve()
    found = lab.keep(of, place, data=with_data)
    data = "with its examples" if found.data else "without its examples"
    words = f"Everything of {of} is in {place} ({count(len(found.files), 'file')}, {size(place.stat().st_size)}, {data})."
    told = {"run": of, "file": str(place), "bytes": place.stat().st_size, "data": found.data, "files": sorted(found.files)}
    Output(json).give(told, f"{words}\nOpen it elsewhere: python -m loralab import {place.name}")
