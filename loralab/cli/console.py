"""Owns what the commands share: options, two output streams, `--set` values, names a person may leave out, following a run to its end.

Invariants: results go to one stream and words about the work to the other; leaving the terminal never ends a run.
"""

from __future__ import annotations

import json
import math
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loralab import lab as facade
from loralab.cli.terminal import LiveLine, verdict
from loralab.core.errors import RunFailed, UserError
from loralab.core.strict_json import plain
from loralab.core.words import count, listed

if TYPE_CHECKING:
    from loralab.core.events import RunView
    from loralab.core.records import DatasetProfile, Example, Proposal
    from loralab.lab import Lab, ReadingProgress, Watch

    Begin = Callable[[Lab, dict[str, Any] | Proposal, "Output", bool], str]  # (lab, plan, where to speak, start anyway) -> run
    Propose = Callable[[Lab, DatasetProfile, str, dict[str, Any]], Proposal]  # (lab, examples, model, settings a person fixed) -> plan

Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
Home = Annotated[Path | None, typer.Option("--home", help="Workspace folder (default: LORALAB_HOME, or LoRALab in your home).")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Fix a setting; may be given several times.")]
Model = Annotated[str, typer.Option("--model", help="A name from `models`, a Hub id or a folder. Left out: the starter.")]
Detach = Annotated[bool, typer.Option("--detach", help="Start it and return at once; it goes on by itself.")]
File = Annotated[str, typer.Argument(metavar="FILE", help="A file, folder or zip of examples, or a bundled data set's name.")]
Role = Annotated[
    list[str] | None,
    typer.Option("--role", metavar="ROLE=COLUMN", help="Which column plays which role. In a chat assistant=NAME says who answers."),
]
Sheet = Annotated[
    list[str] | None,
    typer.Option("--sheet", help="Which sheet of a workbook, or table of a document, is read; the largest where none is named."),
]
TakeGuess = Annotated[bool, typer.Option("--yes", help="Take a guess about the columns as it is.")]
CELL, REASONS = 60, 6  # characters shown of a text, reasons of rows left out
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run's name, or “last”.")]
Launch = Annotated[
    str, typer.Option("--launch", metavar="FILE", help="Learn in the processes of this Accelerate configuration; “one”: in one process.")
]
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


READING_TOLD_S = 3.0  # between two lines about the reading of a large file


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
    task = str(raw.get("task") or _kind_with(raw, task))
    kind = facade.tasks().get(task)
    for name, value in raw.items():
        if kind is not None and name in kind.plan.model_fields and str(value).startswith(("{", "[")):
            try:
                raw[name] = json.loads(value)
            except ValueError as error:
                raise UserError(
                    f"The value of “{name}” is not JSON: {error}.", "Check the brackets and quotes.", code="bad_setting"
                ) from error
    plan = facade.parse_plan({"task": task, **raw})
    return {name: getattr(plan, name) for name in raw}


def _kind_with(names: Iterable[str], usual: str) -> str:
    """The kind of training that has all these settings: the usual one where it has, or where none does."""
    known = facade.tasks()
    order = [usual, *(name for name in known if name != usual)]
    return next((kind for kind in order if set(names) <= known[kind].plan.model_fields.keys()), usual)


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
    return written | chosen(settings, str(written.get("task", "text"))) | ({"dataset": source(lab, file), "parts": ()} if file else {})


def source(lab: Lab, name: str) -> str:
    """A file of examples: the path itself, or that of a bundled data set of this name."""
    if name.strip() and _is_there(Path(name)):
        return name
    known = {sample.name: sample.path for sample in lab.samples()}
    if name in known:
        return known[name]
    raise UserError(f"There is no file {name}.", f"Check the path, or take a bundled data set: {', '.join(known)}.", code="no_file")


def watching(out: Output) -> Watch:
    """Tells how far the reading of a large file is: a line now and then."""
    told = -math.inf

    def note(at: ReadingProgress) -> None:
        nonlocal told
        if time.monotonic() - told >= READING_TOLD_S and at.fraction < 1:
            told = time.monotonic()
            out.say(at.words)

    return facade.Watch(note)


def model_for(lab: Lab, file: str, model: str) -> str:
    """The model a person named; left out, the one a bundled data set was proven with, else the starter."""
    known = {entry.path: entry.model for entry in lab.samples()}
    return model or known.get(source(lab, file), "starter")


def _is_there(path: Path) -> bool:
    try:
        return path.expanduser().exists()
    except (OSError, ValueError, RuntimeError):  # too long a name, a zero byte, a home that nobody has
        return False


def propose_for(
    lab: Lab,
    file: str,
    model: str,
    changes: dict[str, Any],
    role: list[str] | None,
    sheet: list[str] | None = None,
    propose: Propose | None = None,
) -> Proposal:
    """The plan proposed for a file, with the settings, columns and sheets a person fixed; which sheets are not read is said.

    `propose`: who proposes, where it is not the planner alone.
    """
    model, roles = model_for(lab, file, model), pairs(role, "--role") or changes.get("roles")
    reads: dict[str, Any] = {"roles": roles or None, "parts": sheet or changes.get("parts", ())}
    reads |= {"learn_from": changes.get("learn_from", "replies"), "watch": watching(Output(as_json=False))}
    profile = lab.profile(source(lab, file), model=model, **reads)
    for line in (*told_parts(profile), *told_guess(profile), *told_left_out(profile)):
        sys.stderr.write(line + "\n")
    return propose(lab, profile, model, changes) if propose else lab.propose(profile, model=model, **changes)


def told_read(profile: DatasetProfile) -> str:
    """How much of a file can be learned from, and what it was read as."""
    of = count(profile.n_read, "picture" if profile.unit == "pixels" else "row")
    how = ", ".join(filter(None, (profile.shape, profile.encoding)))
    return f"{profile.name}: {profile.n_kept:,} of {of} can be learned from ({how})."


def told_parts(profile: DatasetProfile) -> list[str]:
    """The sheets or tables of a file, which of them are read, and what is to be known about these."""
    told = [f"{part.name or profile.name}: {part.about}." for part in profile.parts if part.taken and part.about]
    if all(part.taken for part in profile.parts):
        return told
    unread = [f"--sheet “{part.name}” ({count(part.rows, 'row')})" for part in profile.parts if not part.taken]
    read = [f"“{part.name}” ({count(part.rows, 'row')})" for part in profile.parts if part.taken]
    return [f"{profile.name} has several parts. Read: {listed(read)}. Not read: {listed(unread)}.", *told]


def told_guess(profile: DatasetProfile) -> list[str]:
    """That the columns are a guess, with what else they could be and what the first rows would then teach."""
    if profile.certain:
        return []
    what = "What is to be learned" if profile.unit == "pixels" else "Which column is what"
    lines = [f"{what} is a guess. It could be read so:"]
    for place, choice in enumerate(profile.choices):
        said = " ".join(f"--role {shlex.quote(f'{role}={column}')}" for role, column in choice.roles.items())
        lines.append(f"  {place + 1}. {'(the guess) ' if not place else ''}{said}")
        lines += [f"     row {example.row}: {_taught(example)}" for example in choice.examples if not example.media]
    return lines


def _taught(example: Example) -> str:
    """What an example teaches, on a line."""
    parts = [message.said for message in example.messages if message.role in ("user", "assistant")] or [example.text]
    return " → ".join(" ".join(part.split())[:CELL] for part in parts[-2:])


def told_left_out(profile: DatasetProfile) -> list[str]:
    """Rows, or pictures, that are not used, by their reason, so that the numbers add up."""
    reasons = Counter(row.reason for row in profile.left_out)
    lost = len(profile.left_out) + profile.more_left_out
    pictures = profile.unit == "pixels"
    lines = [f"Left out: {lost:,} of {count(profile.n_read, 'picture' if pictures else 'row')}."] if lost else []
    for reason, rows in reasons.most_common(REASONS):
        first = next(row for row in profile.left_out if row.reason == reason)
        place = f"first in row {first.row:,}" if first.row and not pictures else f"first: {first.source}"
        lines.append(f"  {rows:,} × {reason} ({place})")
    rest = lost - sum(rows for _, rows in reasons.most_common(REASONS))
    return [*lines, f"  {rest:,} × other reasons"] if rest else lines


def told_fields(profile: DatasetProfile) -> list[str]:
    """What the file holds, used and not used."""
    used = [f"{use.name} ({use.used_for}, {count(use.rows, 'row')})" for use in profile.fields if use.used_for]
    unused = [f"{use.name} ({count(use.rows, 'row')})" for use in profile.fields if not use.used_for]
    return [*([f"Used: {'; '.join(used)}."] if used else []), *([f"Not used: {'; '.join(unused)}."] if unused else [])]


def launched(lab: Lab, launch: str) -> None:
    """Have what is begun or resumed learn in several processes, or in one again."""
    if launch:
        lab.launch_with("" if launch == "one" else launch)


def confirmed(plan: dict[str, Any] | Proposal, *, yes: bool) -> None:
    """Raise UserError where a plan rests on a guess about columns that nobody took as it is."""
    values = plan if isinstance(plan, dict) else plan.plan
    if values.get("guessed") and not yes:
        what = "What the file is to teach is a guess, and nobody has confirmed it."
        raise UserError(what, "Say it with --role, or take the guess as it is with --yes.", code="roles_unclear")


def newest(lab: Lab, run: str, *, trained: bool = False) -> str:
    """A run's id, also from the name people gave it; “last” is the newest training run (with `trained`, that made an adapter)."""
    run, at, part = run.partition("@")
    if run != "last":
        called = next((str(row["id"]) for row in lab.runs() if row["kind"] == "train" and row["title"] == run), run)
        return called + at + part
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


def fetched(lab: Lab, name: str, config: str, split: str, columns: Sequence[str], out: Output, *, yes: bool) -> str:
    """The file of a data set of the Hub, fetched once a person has seen its size and licence."""
    found = lab.hub_dataset(name, config, split)
    if len(found.configs) > 1 and not config:
        todo = f"Name one with --config: {', '.join(found.configs[:20])}{' …' if len(found.configs) > 20 else ''}."
        raise UserError(f"{name} has several configurations.", todo, code="no_such_part")
    out.say(found.words)
    if not yes and not typer.confirm("Download it?", err=True):
        raise UserError("Nothing was downloaded.", "Answer y, or add --yes.", code="not_confirmed")
    view = follow(lab, lab.fetch_dataset(found, columns), out)
    succeed(view)
    if view.ending is None or view.state != "finished":
        raise UserError("The download was stopped.", "Give the same name again: it goes on where it was.", code="stopped")
    file = str(view.ending.result["file"])
    out.say(f"{view.ending.what} It lies at {file}; train on that file.".strip())
    return file


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
    out.give(report, verdict(report, view))
