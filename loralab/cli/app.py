"""Owns `python -m loralab`: each command is a few lines over Lab.

Invariants: with --json exactly one JSON object goes to standard output and people's text to standard error; the exit code is 0 when it
worked, 1 for a person's mistake (one line with what to do), 2 for a wrong command line, 3 when a run failed.
"""

from __future__ import annotations

import io
import os
import secrets
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer

from loralab.cli import demo as demonstration
from loralab.cli import run_commands, terminal
from loralab.cli.console import (
    Begin,
    Detach,
    File,
    Home,
    Json,
    Model,
    Output,
    RepeatedPlan,
    Role,
    Set,
    chosen,
    conclude,
    follow,
    pairs,
    propose_for,
    repeated,
    source,
    succeed,
)
from loralab.core import paths
from loralab.core.errors import LabError, Problem, RunFailed, UserError, classify
from loralab.core.records import Proposal
from loralab.core.words import size
from loralab.lab import Lab, disk_words, letter, stage_words
from loralab.setup.opened import choose_port, running_link

app = typer.Typer(
    help="LoRALab: teach a language model your examples, on this computer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def doctor(json: Json = False, home: Home = None) -> None:
    """What this computer is, what is fine, what is missing, and what to do about it."""
    lab = Lab(home)
    lab.measure_speed()
    machine, starter = lab.machine(), lab.check_model("starter")
    found = lab.checkup(machine)
    data = {"home": str(lab.home), "starter": starter.ok, "machine": machine, "packages": machine.versions, "findings": found}
    Output(json).give(data, letter(machine, found, lab.home, terminal.width()))


@app.command()
def models(
    name: Annotated[str, typer.Argument(help="Check this model; empty lists the catalogue.")] = "",
    download: Annotated[bool, typer.Option("--download", help="Fetch it into the workspace; says its size and asks first.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before downloading.")] = False,
    clean_up: Annotated[float | None, typer.Option("--clean-up", metavar="GB", help="Remove old downloads down to this.")] = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """The models there are; whether one can be trained here; download one."""
    lab, out = Lab(home), Output(json)
    if clean_up is not None:
        removed = lab.make_room(int(clean_up * 1e9))
        out.give({"removed": removed}, f"Removed: {', '.join(removed) or 'nothing'}.")
    elif not name:
        rows = [
            (e.name, f"{e.parameters / 1e6:,.0f} M", size(e.download_bytes), e.licence, "here" if e.present else "") for e in lab.models()
        ]
        out.give({"models": lab.models()}, terminal.table(rows, ("name", "weights", "download", "licence", "")))
    elif download:
        _download(lab, name, yes=yes, out=out)
    else:
        check = lab.check_model(name, ask_hub=True)
        out.give({"model": check}, check.words)


def _download(lab: Lab, name: str, *, yes: bool, out: Output) -> None:
    known = lab.check_model(name, ask_hub=True).download_bytes
    weight = size(known) if known else "a size the Hub will tell"
    folder = lab.catalog.folder(name)
    if not yes and not typer.confirm(f"Download {name} ({weight}) to {folder}?", err=True):
        raise UserError("Nothing was downloaded.", "Answer y, or add --yes.", code="not_confirmed")
    run = lab.download(name)
    view = follow(lab, run, out)
    succeed(view)
    out.give({"run": run, "outcome": view.state, "folder": str(folder)}, f"{name} is in {folder}.")


@app.command()
def data(file: File, model: Model = "starter", role: Role = None, json: Json = False, home: Home = None) -> None:
    """Read a file of examples and say what is in it."""
    lab = Lab(home)
    profile = lab.profile(source(lab, file), model=model, roles=pairs(role, "--role") or None)
    text = [
        f"{profile.name}: {profile.n_kept} of {profile.n_read} rows can be learned from ({profile.shape}, {profile.encoding}).",
        f"{profile.n_train} to learn from, {profile.n_heldout} held out; {profile.n_duplicates} duplicates.",
        *(f"Row {left.row} left out: {left.reason}" for left in profile.left_out[:5]),
        *(str(finding) for finding in profile.findings),
    ]
    if profile.previews:
        text += ["The first example as the model sees it:", "".join(piece for piece, _learned in profile.previews[0].pieces)]
    Output(json).give(profile.model_dump(), "\n".join(text))


@app.command()
def plan(file: File, model: Model = "starter", settings: Set = None, role: Role = None, json: Json = False, home: Home = None) -> None:
    """The settings a run would get, each with its reason."""
    lab = Lab(home)
    proposal = propose_for(lab, file, model, chosen(settings), role)
    rows = [(name, value, proposal.reasons.get(name, "")) for name, value in proposal.plan.items()]
    found = proposal.footprint
    if lab.check_model(model).present:
        found = lab.trace(proposal, lab.profile(source(lab, file), model, proposal.plan["roles"], proposal.plan["learn_from"]))
    text = [terminal.table(rows, ("setting", "value", "why")), found.words, f"{stage_words(found)} {disk_words(found)}".strip()]
    text += [str(problem) for problem in proposal.problems]
    Output(json).give(proposal.model_copy(update={"footprint": found}).model_dump(), "\n".join(text))


@app.command()
def train(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file, folder or zip of examples, or a bundled data set's name.")] = "",
    model: Model = "starter",
    settings: Set = None,
    role: Role = None,
    plan: RepeatedPlan = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="Start also where it is known that it will go wrong.")] = False,
    detach: Detach = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Train an adapter on a file of examples."""
    lab, out = Lab(home), Output(json)
    if plan is not None:
        values: dict[str, Any] | Proposal = repeated(lab, plan, settings, file)
    elif file:
        proposal = propose_for(lab, file, model, chosen(settings), role)
        for problem in proposal.problems:
            if problem.severity == "error":
                raise UserError(problem.what, problem.todo, code=problem.code)
            out.say(str(problem))
        values = proposal
    else:
        raise UserError("There is nothing to train on.", "Name a file of examples: python -m loralab train FILE.", code="no_file")
    begin: Begin = ctx.obj or _begin
    conclude(lab, begin(lab, values, out, anyway), out, detach=detach)


def _begin(lab: Lab, plan: dict[str, Any] | Proposal, _out: Output, _anyway: bool) -> str:
    """Start a run without asking anybody."""
    return lab.start(plan)


@app.command()
def pretrain(
    corpus: Annotated[Path, typer.Argument(help="A .jsonl or .jsonl.xz file with a “text” field per line.")],
    settings: Set = None,
    detach: Detach = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Make a small language model from plain text; this is how the starter was made."""
    lab = Lab(home)
    if not corpus.is_file():
        raise UserError(f"There is no file {corpus}.", "Give a .jsonl or .jsonl.xz file with a “text” field per line.", code="no_file")
    values = {"task": "pretrain", "dataset": str(corpus.resolve()), **chosen(settings, "pretrain")}
    conclude(lab, lab.start(values), Output(json), detach=detach)


@app.command()
def demo(settings: Set = None, json: Json = False, home: Home = None) -> None:
    """Train an adapter on a bundled data set and show answers before and after: about two minutes, no network."""
    lab, out = Lab(home), Output(json)
    out.say(demonstration.opening())
    run = demonstration.start(lab, chosen(settings))
    view = follow(lab, run, out)
    succeed(view)
    report = lab.report(run)
    text = [
        terminal.answers(report["samples"], terminal.width()),
        terminal.verdict(report),
        f"Open it in the app: python launch.py, then choose {run}.",
    ]
    out.give(demonstration.result(report), "\n\n".join(text))


@app.command("app")
def open_app(
    port: Annotated[int | None, typer.Option("--port", help="Port on this computer (default: a free one).")] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open it in the browser.")] = True,
    json: Json = False,
    home: Home = None,
) -> None:
    """Open the app in the browser; the same as python launch.py."""
    place = Lab(home).home
    command = [sys.executable, str(paths.CHECKOUT / "launch.py"), "--home", str(place)]
    if json:  # a script is told what opens the app before the app is there
        secret, link = secrets.token_urlsafe(32), running_link(place)
        port = port or choose_port(None)
        os.environ["LORALAB_SECRET"] = secret
        Output(json).give({"url": link or f"http://127.0.0.1:{port}/?key={secret}", "home": str(place)}, "Opening the app.")
    command += ["--port", str(port)] if port else []
    command += [] if browser else ["--no-browser"]
    raise typer.Exit(subprocess.call(command, stdout=sys.stderr if json else None))


run_commands.register(app)


def main(begin: Begin = _begin) -> int:
    """Run a command line. One of the three places where errors meet people: a line that says what happened and what to do.

    `begin` starts a training; the advisor's looks at the plan first.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file on Windows would otherwise refuse half the letters there are
            stream.reconfigure(encoding="utf-8", errors="replace")
    try:
        app(obj=begin)
    except LabError as error:
        return _tell(error.problem, 3 if isinstance(error, RunFailed) else 1)
    except BrokenPipeError:  # the reader of our output has gone, as in `| head`
        return 0
    except Exception as error:  # noqa: BLE001 - a bug must also end in a sentence; the whole of it goes to the log
        log = paths.home() / "cli.log"
        with log.open("a", encoding="utf-8") as file:
            traceback.print_exc(file=file)
        problem = classify(error)
        return _tell(problem.model_copy(update={"todo": f"The details are in {log}."}) if problem.code == "unexpected" else problem, 1)
    return 0


def _tell(problem: Problem, code: int) -> int:
    out = Output("--json" in sys.argv)
    if out.as_json:
        out.give({"problem": problem}, str(problem))
    else:
        out.say(str(problem))
    return code
