"""Owns the commands that do many runs at once, here one after the other or on a cluster. Invariant: the promises of app.py."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from loralab import lab as facade
from loralab.cli import terminal
from loralab.cli.console import File, Home, Json, Model, Output, Role, Set, chosen, confirmed, follow, newest, propose_for
from loralab.core.errors import UserError

On = Annotated[str, typer.Option("--on", metavar="ray", help="Spread the runs over a Ray cluster; left out: one after the other here.")]
Address = Annotated[str, typer.Option("--address", help="Of the cluster, as `ray start` told it; left out: this computer alone.")]
Cpus = Annotated[float, typer.Option("--cpus", min=0.1, help="Processors of a computer that one run takes.")]
Gpus = Annotated[float, typer.Option("--gpus", min=0, help="Cards that one run takes; 0.5 lets two share one.")]
Vary = Annotated[
    list[str], typer.Option("--vary", metavar="FIELD=VALUE,VALUE", help="Try each of these values; several give every combination.")
]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(sweep)
    app.command("evaluate-all")(evaluate_all)


def sweep(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    file: File,
    vary: Vary,
    model: Model = "",
    settings: Set = None,
    role: Role = None,
    on: On = "",
    address: Address = "",
    cpus: Cpus = 1.0,
    gpus: Gpus = 0.0,
    yes: Annotated[bool, typer.Option("--yes", help="Take a guess about the columns as it is.")] = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Train once for every combination of settings, and compare."""
    lab, out = facade.Lab(home), Output(json)
    proposal = propose_for(lab, file, model, chosen(settings), role)
    confirmed(proposal, yes=yes)
    plans = facade.varied(proposal, _varied(vary))
    if on:
        names = [lab.prepare(plan).name for plan in plans]
        _spread(lab, names, out, on, address, cpus, gpus)
    else:
        names = [lab.start(plan) for plan in plans]
        for name in names:
            follow(lab, name, out)
    _conclude(lab, names, out)


def evaluate_all(
    names: Annotated[list[str], typer.Argument(metavar="RUN...", help="Trainings.")],
    on: On = "",
    address: Address = "",
    cpus: Cpus = 1.0,
    gpus: Gpus = 0.0,
    json: Json = False,
    home: Home = None,
) -> None:
    """Judge many trainings again."""
    lab, out = facade.Lab(home), Output(json)
    chosen_runs = [newest(lab, name, trained=True) for name in names]
    if on:
        works = lab.judged_again(chosen_runs)
        _spread(lab, works, out, on, address, cpus, gpus)
    else:
        works = [lab.evaluate(name) for name in chosen_runs]
        for work in works:
            follow(lab, work, out)
    _conclude(lab, works, out)


def _varied(vary: list[str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for text in vary:
        name, equals, values = text.partition("=")
        if not equals or not values:
            raise UserError(f"“{text}” is not a setting with values.", "Write it as --vary learning_rate=1e-4,1e-3.", code="bad_setting")
        found[name] = [chosen([f"{name}={value}"])[name] for value in values.split(",")]
    return found


def _spread(lab: facade.Lab, names: list[str], out: Output, on: str, address: str, cpus: float, gpus: float) -> None:
    if on != "ray":
        raise UserError(f"“{on}” is no place where runs can go.", "Say --on ray, or leave it out.", code="bad_setting")
    lab.spread(names, address, facade.Share(cpus, gpus), lambda at: out.say(at.words))


def _conclude(lab: facade.Lab, names: list[str], out: Output) -> None:
    views = [lab.view(name) for name in names]
    rows = [(view.run, lab.job(view.run).title, view.state, _loss(view), _ended(view)) for view in views]
    failed = [view.run for view in views if view.state != "finished"]
    out.give({"runs": names, "failed": failed}, terminal.table(rows, ("run", "what", "state", "held-out loss", "")))
    if failed:
        raise typer.Exit(3)


def _loss(view: Any) -> str:
    looks = [look.loss for look in view.evaluations if look.split == "heldout"]
    return f"{min(looks):.4f}" if looks else ""


def _ended(view: Any) -> str:
    return view.ending.what if view.ending is not None and view.state != "finished" else ""
