"""Owns the command that makes a page which answers by itself. Invariant: the promises of app.py; one that differs is not handed out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loralab import lab as facade
from loralab.cli.console import Home, Json, Output, follow, newest, succeed
from loralab.cli.export_commands import card


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(page)


def page(
    run: Annotated[str, typer.Argument(metavar="[RUN|DEPLOYMENT]", help="A run, or what was shared: its id or its name.")] = "last",
    out_file: Annotated[Path | None, typer.Option("--out", metavar="FILE.html", help="Where to put it; a folder will do, too.")] = None,
    variant: Annotated[str, typer.Option("--variant", help="q8_0 (usual), q4_k_m, f16; of pictures fp32 (usual), int8.")] = "",
    json: Json = False,
    home: Home = None,
) -> None:
    """Make one file that answers by itself in any browser, without a network (exit code 3 where it does not answer as what was trained)."""
    lab, out = facade.Lab(home), Output(json)
    shared = next((one for one in lab.deployments() if run in (one.id, one.name)), None)
    of = shared.run if shared else newest(lab, run, trained=True)
    work = lab.page(shared.id, variant) if shared else lab.export(of, "page", variant)
    view = follow(lab, work, out)
    succeed(view)
    told = view.ending.result if view.ending else {}
    from loralab.core import parity

    found = parity.read(Path(str(told["folder"]))) if told.get("folder") else None
    good = found is not None and found.outcome != "differs"
    made = Path(str(told["folder"])) / str(told["file"])
    place = lab.copy_export(work, out_file) if out_file is not None and good else made
    shown = found.model_dump(mode="json") if found else {}
    data = {"run": work, "of": of, "outcome": view.state, "file": str(place), "bytes": told["file_bytes"], "parity": shown}
    out.give(data, "\n".join([str(place), *(card(found) if found else []), *([f"Open {place.name} with a double click."] if good else [])]))
    if not good:  # a script must not take it for good
        raise typer.Exit(3)
