"""Owns what the commands share: options, two output streams, `--set` values, names a person may leave out, following a run to its end.

Invariants: results go to one stream and words about the work to the other; leaving the terminal never ends a run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from loralab.cli.terminal import LiveLine, verdict
from loralab.core.errors import RunFailed, UserError
from loralab.core.events import RunView
from loralab.core.records import Proposal
from loralab.core.strict_json import plain
from loralab.lab import Lab, parse_plan, tasks

Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
Home = Annotated[Path | None, typer.Option("--home", help="Workspace folder (default: LORALAB_HOME, or LoRALab in your home).")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Fix a setting; may be given several times.")]
Model = Annotated[str, typer.Option("--model", help="A name from `models`, a Hub id or a folder.")]
Detach = Annotated[bool, typer.Option("--detach", help="Start it and come back at once; it goes on by itself.")]
File = Annotated[str, typer.Argument(metavar="FILE", help="A file, folder or zip of examples, or a bundled data set's name.")]
Role = Annotated[list[str] | None, typer.Option("--role", metavar="ROLE=COLUMN", help="Which column plays which role.")]
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run's name, or “last”.")]
RepeatedPlan = Annotated[Path | None, typer.Option("--plan", help="Repeat the plan of this plan.json; --set and FILE change it.")]


@dataclass(frozen=True)
class Output:
    """Where a command speaks: results on standard output, words about the work on standard error."""

    as_json: bool

    def say(self, text: str) -> None:
        """A line for the person at the terminal."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def give(self, data: dict[str, Any], text: str) -> None:
        """The result: one JSON object for a script (its words go to standard error), or the words alone."""
        if self.as_json:
            self.say(text)
            text = json.dumps(plain(data), ensure_ascii=False)
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


Begin = Callable[[Lab, dict[str, Any] | Proposal, Output, bool], str]  # (lab, plan, where to speak, start anyway) -> run


def pairs(given: Sequence[str] | None, option: str = "--set") -> dict[str, str]:
    """`name=value` texts as a dict. Raises UserError for one without an equals sign."""
    found: dict[str, str] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UserError(f"“{text}” is not a setting.", f"Write it as {option} name=value.", code="bad_setting")
        found[name.strip()] = value.strip()
    return found


def chosen(given: Sequence[str] | None, task: str = "text") -> dict[str, Any]:
    """Settings fixed with --set, as their field's type. Raises UserError naming the setting and its bounds."""
    raw: dict[str, Any] = dict(pairs(given))
    kind = tasks().get(raw.get("task", task))
    for name, value in raw.items():
        if kind is not None and name in kind.plan.model_fields and str(value).startswith(("{", "[")):
            try:
                raw[name] = json.loads(value)
            except ValueError as error:
                raise UserError(
                    f"The value of “{name}” is not JSON: {error}.", "Check the brackets and quotes.", code="bad_setting"
                ) from error
    plan = parse_plan({"task": task, **raw})
    return {name: getattr(plan, name) for name in raw}


def plan_file(path: Path) -> dict[str, Any]:
    """A plan as it was written beside an adapter (plan.json), or what `plan --json` printed."""
    todo = "Give the plan.json that lies beside an adapter."
    if not path.is_file():
        raise UserError(f"There is no plan file {path}.", todo, code="no_file")
    try:
        raw = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise UserError(f"{path.name} is not a plan: {error}.", todo, code="bad_plan") from error
    found = raw.get("plan", raw) if isinstance(raw, dict) else None
    if not isinstance(found, dict):
        raise UserError(f"{path.name} is not a plan.", todo, code="bad_plan")
    return found


def repeated(lab: Lab, plan: Path, settings: Sequence[str] | None, file: str = "") -> dict[str, Any]:
    """The settings of a plan file, with those that --set and another file of examples change."""
    written = plan_file(plan)
    return written | chosen(settings, str(written.get("task", "text"))) | ({"dataset": source(lab, file)} if file else {})


def source(lab: Lab, name: str) -> str:
    """A file of examples: the path itself, or that of a bundled data set of this name."""
    if name.strip() and _is_there(Path(name)):
        return name
    known = {sample.name: sample.path for sample in lab.samples()}
    if name in known:
        return known[name]
    raise UserError(f"There is no file {name}.", f"Check the path, or take a bundled data set: {', '.join(known)}.", code="no_file")


def _is_there(path: Path) -> bool:
    try:
        return path.expanduser().exists()
    except (OSError, ValueError, RuntimeError):  # too long a name, a zero byte, a home that nobody has
        return False


def propose_for(lab: Lab, file: str, model: str, changes: dict[str, Any], role: list[str] | None) -> Proposal:
    """The plan proposed for a file, with the settings and columns a person fixed."""
    roles = pairs(role, "--role") or changes.get("roles")
    profile = lab.profile(source(lab, file), model=model, roles=roles or None, learn_from=changes.get("learn_from", "replies"))
    return lab.propose(profile, model=model, **changes)


def newest(lab: Lab, run: str, *, trained: bool = False) -> str:
    """A run's name; “last” is the newest training run (with `trained`, the newest that made an adapter)."""
    run, at, part = run.partition("@")
    if run != "last":
        return run + at + part
    for row in lab.runs():
        if row["kind"] == "train" and (not trained or lab.view(row["id"]).made("adapter")):
            return str(row["id"]) + at + part
    raise UserError("There is no run yet.", "Start one: python -m loralab train FILE.", code="no_run")


def follow(lab: Lab, run: str, out: Output) -> RunView:
    """Draw a run's line until it ends. Ctrl-C asks it to save and stop, a second one leaves it to itself."""
    line, asked = LiveLine(sys.stderr), False
    while True:
        try:
            view = lab.wait(run, line)
        except KeyboardInterrupt:
            line.close()
            if asked or not lab.view(run).active:
                out.say(f"Left {run} to itself; it goes on in the background. See it with: python -m loralab show {run}")
                return lab.view(run)
            asked = True
            lab.stop(run)
            out.say("Saving and stopping. Press Ctrl-C again to leave without waiting.")
        else:
            line.close()
            return view


def succeed(view: RunView) -> None:
    """Raise RunFailed with the worker's own words when a run ended badly."""
    if view.state in ("failed", "killed") and view.ending is not None:
        raise RunFailed(view.ending.what or "The run ended badly.", view.ending.todo, code=view.ending.code or "run_failed")


def conclude(lab: Lab, run: str, out: Output, *, detach: bool = False) -> None:
    """Follow a training run to its end and tell what came of it; exit code 3 when it ended badly."""
    if detach:
        out.give({"run": run, "outcome": lab.view(run).state}, f"Started {run}. See it with: python -m loralab show {run}")
        return
    out.say(f"Run {run}")
    view = follow(lab, run, out)
    report = lab.report(run)
    if view.ending is not None and view.state in ("failed", "killed"):
        out.give(report, f"{view.ending.what} {view.ending.todo}".strip())
        raise typer.Exit(3)
    out.give(report, verdict(report))
