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
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from loralab import lab as facade
from loralab.cli import (
    chat_command,
    data_commands,
    draw_command,
    hub_commands,
    page_commands,
    part_commands,
    pipeline_command,
    run_commands,
    scale_commands,
    share_commands,
    sweep_command,
    template_commands,
    terminal,
    watch_commands,
)
from loralab.cli import demo as demonstration
from loralab.cli.console import (
    Detach,
    File,
    Home,
    Json,
    Launch,
    Model,
    Output,
    RepeatedPlan,
    Role,
    Set,
    Sheet,
    TakeGuess,
    chosen,
    conclude,
    confirmed,
    fetched,
    follow,
    launched,
    model_for,
    pairs,
    propose_for,
    repeated,
    source,
    succeed,
    told_fields,
    told_guess,
    told_left_out,
    told_parts,
    told_read,
    watching,
)
from loralab.core import paths
from loralab.core.errors import LabError, Problem, RunFailed, UserError, classify
from loralab.core.masking import masked
from loralab.core.words import size
from loralab.setup.opened import choose_port, running_link

if TYPE_CHECKING:
    from loralab.cli.console import Begin, Propose
    from loralab.core.records import Proposal
    from loralab.lab import Lab

app = typer.Typer(
    help="LoRALab: teach a language model your examples, on this computer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def doctor(json: Json = False, home: Home = None) -> None:
    """What this computer is, what is fine, what is missing, and what to do about it."""
    lab = facade.Lab(home)
    lab.measure_speed()
    machine, starter = lab.machine(), lab.check_model("starter")
    found = lab.checkup(machine)
    data = {"home": str(lab.home), "starter": starter.ok, "machine": machine, "packages": machine.versions, "findings": found}
    Output(json).give(data, facade.letter(machine, found, lab.home, terminal.width()))


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
    out = Output(json)
    if not name and clean_up is None:
        found = facade.Workspace(home).models()  # which is open at once: the catalogue needs no more of the lab
        rows = [(e.name, f"{e.parameters / 1e6:,.0f} M", size(e.download_bytes), e.licence, "here" if e.present else "") for e in found]
        out.give({"models": found}, terminal.table(rows, ("name", "weights", "download", "licence", "")))
        return
    lab = facade.Lab(home)
    if clean_up is not None:
        removed = lab.make_room(int(clean_up * 1e9))
        out.give({"removed": removed}, f"Removed: {', '.join(removed) or 'nothing'}.")
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
    run, state = _fetch(lab, name, out)
    out.give({"run": run, "outcome": state, "folder": str(folder)}, f"{name} is in {folder}.")


def _fetch(lab: Lab, name: str, out: Output) -> tuple[str, str]:
    run = lab.download(name)
    view = follow(lab, run, out)
    succeed(view)
    return run, view.state


@app.command()
def data(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    file: File,
    model: Model = "",
    role: Role = None,
    sheet: Sheet = None,
    config: Annotated[str, typer.Option("--config", help="Which configuration of a data set of the Hub.")] = "",
    split: Annotated[str, typer.Option("--split", help="Only this split of it; left out: all, each row marked.")] = "",
    column: Annotated[list[str] | None, typer.Option("--column", help="Only this column of it; may be given several times.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before downloading.")] = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Read a file of examples, or a data set of the Hugging Face Hub (owner/name), and say what is in it."""
    lab = facade.Lab(home)
    if not Path(file).exists() and facade.is_hub_name(file):
        file = fetched(lab, file, config, split, column or (), Output(json), yes=yes)
    how: dict[str, Any] = {"roles": pairs(role, "--role") or None, "parts": sheet or (), "watch": watching(Output(json))}
    try:
        profile = lab.profile(source(lab, file), model=model_for(lab, file, model), **how)
    except KeyboardInterrupt as stopped:
        raise UserError("Stopped.", "Give the same file again, and a large one goes on from there.", code="reading_stopped") from stopped
    text = [
        told_read(profile),
        *told_parts(profile),
        *told_guess(profile),
        f"{profile.n_train} to learn from, {profile.n_heldout} held out; {profile.n_duplicates} duplicates.",
        *([profile.aside] if profile.aside else []),
        *told_left_out(profile),
        *told_fields(profile),
        *(str(finding) for finding in profile.findings),
    ]
    if profile.previews and profile.previews[0].pieces:
        text += ["The first example as the model sees it:", "".join(piece for piece, _learned in profile.previews[0].pieces)]
    Output(json).give(profile.model_dump(), "\n".join(text))


@app.command()
def plan(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    ctx: typer.Context,
    file: File,
    model: Model = "",
    settings: Set = None,
    role: Role = None,
    sheet: Sheet = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """The settings a run would get, each with its reason."""
    lab = facade.Lab(home)
    proposal = propose_for(lab, file, model, chosen(settings), role, sheet, _ways(ctx).propose)
    rows = [(name, value, proposal.reasons.get(name, "")) for name, value in proposal.plan.items()]
    found = proposal.footprint
    model = proposal.plan["base_model"]
    if lab.check_model(model).present and "learn_from" in proposal.plan:  # else it is no kind whose model can be gone through
        given = ("learn_from", "parts") if proposal.plan["guessed"] else ("roles", "learn_from", "parts")  # a guess is not remembered
        reads = {name: proposal.plan[name] for name in given}
        found = lab.trace(proposal, lab.profile(source(lab, file), model, **reads))
    text = [
        terminal.table(rows, ("setting", "value", "why")),
        found.words,
        f"{facade.stage_words(found)} {facade.disk_words(found)}".strip(),
    ]
    text += [str(problem) for problem in proposal.problems]
    Output(json).give(proposal.model_copy(update={"footprint": found}).model_dump(), "\n".join(text))


@app.command()
def train(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file, folder or zip of examples, or a bundled data set's name.")] = "",
    model: Model = "",
    settings: Set = None,
    role: Role = None,
    sheet: Sheet = None,
    plan: RepeatedPlan = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="Start also where it is known that it will go wrong.")] = False,
    yes: TakeGuess = False,
    launch: Launch = "",
    prepare: Annotated[bool, typer.Option("--prepare", help="Only write the run's folder, for torchrun or Slurm to begin it.")] = False,
    detach: Detach = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Train an adapter on a file of examples."""
    lab, out = facade.Lab(home), Output(json)
    launched(lab, launch)
    if plan is not None:
        values: dict[str, Any] | Proposal = repeated(lab, plan, settings, file)
    elif file:
        proposal = propose_for(lab, file, model, chosen(settings), role, sheet, _ways(ctx).propose)
        for problem in proposal.problems:
            if problem.severity == "error":
                raise UserError(problem.what, problem.todo, code=problem.code)
            out.say(str(problem))
        values = proposal
    else:
        raise UserError("There is nothing to train on.", "Name a file of examples: python -m loralab train FILE.", code="no_file")
    confirmed(values, yes=yes)
    if prepare:
        folder = lab.prepare(values)
        out.give({"run": folder.name, "folder": str(folder)}, f"Begin it with: torchrun --nproc-per-node N -m loralab.runs.worker {folder}")
        return
    conclude(lab, _ways(ctx).begin(lab, values, out, anyway), out, detach=detach)


def _begin(lab: Lab, plan: dict[str, Any] | Proposal, _out: Output, _anyway: bool) -> str:
    """Start a run without asking anybody."""
    return lab.start(plan)


class Ways(NamedTuple):
    """Who begins a training and who proposes its plan: the advisor, where the command line has one."""

    begin: Begin = _begin
    propose: Propose | None = None


def _ways(ctx: typer.Context) -> Ways:
    return ctx.obj or Ways()


@app.command()
def pretrain(
    corpus: Annotated[Path, typer.Argument(help="A .jsonl or .jsonl.xz file with a “text” field per line.")],
    settings: Set = None,
    detach: Detach = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Make a small language model from plain text; this is how the starter was made."""
    lab = facade.Lab(home)
    if not corpus.is_file():
        raise UserError(f"There is no file {corpus}.", "Give a .jsonl or .jsonl.xz file with a “text” field per line.", code="no_file")
    values = {"task": "pretrain", "dataset": str(corpus.resolve()), **chosen(settings, "pretrain")}
    conclude(lab, lab.start(values), Output(json), detach=detach)


@app.command()
def demo(model: Model = "", settings: Set = None, json: Json = False, home: Home = None) -> None:
    """Train an adapter on a bundled data set and show answers before and after: a few minutes, no network."""
    lab, out, model = facade.Lab(home), Output(json), model or demonstration.model()
    if not lab.check_model(model).present:
        _fetch(lab, model, out)
    proposal = demonstration.propose(lab, model, chosen(settings))
    out.say(demonstration.opening(proposal))
    run = lab.start(proposal)
    view = follow(lab, run, out)
    succeed(view)
    report = lab.report(run)
    text = [
        terminal.answers(report["samples"], terminal.width()),
        terminal.verdict(report, view),
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
    place = facade.Lab(home).home
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
draw_command.register(app)
page_commands.register(app)
part_commands.register(app)
watch_commands.register(app)
pipeline_command.register(app)
template_commands.register(app)
hub_commands.register(app)
chat_command.register(app)
share_commands.register(app)
data_commands.register(app)
scale_commands.register(app)
sweep_command.register(app)


def main(ways: Ways | None = None) -> int:
    """Run a command line. One of the three places where errors meet people: a line that says what happened and what to do.

    `ways`: the advisor's propose with all that is remembered, and look at a plan before it starts.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file on Windows would otherwise refuse half the letters there are
            stream.reconfigure(encoding="utf-8", errors="replace")
    try:
        app(obj=ways)
    except LabError as error:
        return _tell(error.problem, 3 if isinstance(error, RunFailed) else 1)
    except BrokenPipeError:  # the reader of our output has gone, as in `| head`
        return 0
    except Exception as error:  # noqa: BLE001 - a bug must also end in a sentence; the whole of it goes to the log
        log = paths.home() / "cli.log"
        with log.open("a", encoding="utf-8") as file:
            file.write(masked(traceback.format_exc()))
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
