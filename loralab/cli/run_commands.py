"""Owns the commands about runs there are, from runs and show to prove. Invariant: the promises of cli.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loralab import lab as facade
from loralab.cli import export_commands, terminal
from loralab.cli.console import Detach, Home, Json, Launch, Output, Run, conclude, follow, launched, newest, succeed
from loralab.core.paths import write_atomic
from loralab.core.words import figure


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command("runs")(list_all)
    for command in (show, stop, resume, rename, delete, queue, evaluate, compare, prove):
        app.command()(command)
    export_commands.register(app)


def list_all(json: Json = False, home: Home = None) -> None:
    """Every run in the workspace, newest first."""
    found = facade.Lab(home).runs()
    rows = [
        (
            r["id"],
            r["kind"],
            r["state"],
            figure(r["base_loss"]),
            figure(r["adapter_loss"]),
            r["steps"],
            r["told"] or "",
            r["title"] or r["dataset"],
        )
        for r in found
    ]
    text = terminal.table(rows, ("run", "kind", "state", "before", "after", "updates", "verdict", "title")) if rows else "No runs yet."
    Output(json).give({"runs": found}, text)


def show(
    run: Run = "last",
    page: Annotated[Path | None, typer.Option("--page", help="Write the whole report to this .html or .md file.")] = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """A run in numbers, with its answers before and after."""
    lab = facade.Lab(home)
    run = newest(lab, run)
    if page:
        write_atomic(page, lab.report_page(run, "markdown" if page.suffix.lower() in (".md", ".markdown") else "html"))
    report, view = lab.report(run), lab.view(run)
    text = [terminal.verdict(report, view), *([f"The report is in {page}."] if page else [])]
    if view.active:
        text.append(terminal.line(view))
    if report["problem"]:
        text.append(f"{report['problem']['what']} {report['problem']['todo']}")
    if report["samples"]:
        text.append(terminal.answers(report["samples"], terminal.width()))
    Output(json).give(report | {"plan": lab.job(run).plan}, "\n\n".join(text))


def stop(
    run: Run = "last",
    force: Annotated[bool, typer.Option("--force", help="End it immediately; anything not saved is lost.")] = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Ask a run to save and stop. It can go on later: resume."""
    lab = facade.Lab(home)
    run = newest(lab, run)
    lab.stop(run, force=force)
    words = f"{run} was ended." if force else f"{run} was asked to save and stop."
    Output(json).give({"run": run, "outcome": lab.view(run).state}, words)


def resume(run: Run = "last", launch: Launch = "", detach: Detach = False, json: Json = False, home: Home = None) -> None:
    """Go on with a stopped, interrupted or failed run from its last safety copy."""
    lab = facade.Lab(home)
    launched(lab, launch)
    run = lab.resume(newest(lab, run))
    conclude(lab, run, Output(json), detach=detach)


def rename(
    run: Run, name: Annotated[str, typer.Argument(help="What to call it from now on.")], json: Json = False, home: Home = None
) -> None:
    """Give a run another name, also while it runs. Exports and reports made from now on carry it."""
    lab = facade.Lab(home)
    run = newest(lab, run)
    title = lab.rename(run, name)
    Output(json).give({"run": run, "title": title}, f"{run} is called “{title}” now.")


def delete(run: Run, json: Json = False, home: Home = None) -> None:
    """Move a run that has ended to the workspace's trash, from where it can be taken back by hand."""
    lab = facade.Lab(home)
    run = newest(lab, run)
    place = lab.delete(run)
    Output(json).give({"run": run, "trash": str(place)}, f"{run} is in {place} now. What was learned from it is kept.")


def queue(
    move: Annotated[str, typer.Option("--move", metavar="RUN", help="Put this waiting run elsewhere: see --to.")] = "",
    to: Annotated[int, typer.Option("--to", min=1, help="Its new place; 1 is the next.")] = 1,
    remove: Annotated[str, typer.Option("--remove", metavar="RUN", help="Take this waiting run out; resume puts it back.")] = "",
    json: Json = False,
    home: Home = None,
) -> None:
    """What has the machine and what waits for its turn; change the order."""
    lab = facade.Lab(home)
    if remove:
        lab.unqueue(remove)
    turns = lab.move(move, to) if move else lab.queue()
    rows = [(turn.position or "now", turn.run, turn.kind, turn.title) for turn in turns]
    text = terminal.table(rows, ("turn", "run", "kind", "title")) if rows else "Nothing has the machine and nothing waits."
    Output(json).give({"queue": turns}, text)


def evaluate(
    run: Run = "last",
    judge: Annotated[str, typer.Option("--judge", metavar="FILE", help="Ask this GGUF model, too, which answers it prefers.")] = "",
    json: Json = False,
    home: Home = None,
) -> None:
    """Judge a trained run again on its held-out examples; RUN@best or RUN@300 a checkpoint, an export's id that export."""
    lab, out = facade.Lab(home), Output(json)
    of = newest(lab, run, trained=True)
    work = lab.evaluate(of, judge=str(Path(judge).expanduser().resolve()) if judge else "")
    view = follow(lab, work, out)
    succeed(view)
    looks = [look for look in view.evaluations if look.split == "final"]
    scores = looks[-1].scores if looks else ()
    from loralab.core.report import answers

    told = answers(view.conclusion)
    text = [*terminal.two_answers(view.conclusion)] if view.conclusion else []
    text += [s.words or f"{s.name}: {figure(s.before)} before, {figure(s.after)} after" for s in scores]
    found = lab.judgement(work) if scores else {}
    second = [table for name in ("judge", "entailment") if (table := found.get("tables", {}).get(name, {}).get(name))]
    text += [f"{table['words']} {table.get('warning', '')}".strip() for table in second if table["silent"] or table.get("warning")]
    samples = [sample.model_dump() for sample in view.samples]
    if samples:
        text.append(terminal.answers(samples, terminal.width()))
    given = {"run": work, "of": of, "outcome": view.state, "scores": scores, "samples": samples} | told
    out.give(given | ({"second_opinion": second} if second else {}), "\n".join(text))


def compare(first: Run, second: Run, json: Json = False, home: Home = None) -> None:
    """The second against the first, on the examples both were judged on: runs, checkpoints (RUN@best, RUN@300), exports by their id."""
    lab, out = facade.Lab(home), Output(json)
    first, second = (newest(lab, name, trained=True) for name in (first, second))
    for name in (first, second):
        if name != lab.subject(name).run and not lab.measured(name):  # a run is measured when it ends; its parts when asked for
            succeed(follow(lab, lab.evaluate(name), out))
    found = lab.compare(first, second)
    word, said = found.told(*(lab.job(lab.subject(name).run).title or name for name in (first, second)))
    from loralab.core.report import answers

    sides = {name: answers(lab.view(lab.subject(of).run).conclusion) for name, of in (("first", first), ("second", second))}
    text = (f"{word}. {said}", *(score.words for score in found.scores))
    out.give(found.model_dump(exclude={"answers"}) | sides["second"] | sides, "\n".join(text))


def prove(run: Run = "last", detach: Detach = False, json: Json = False, home: Home = None) -> None:
    """Put the verdict to the test: train the same plan on shuffled answers, which must not come out as better."""
    lab, out = facade.Lab(home), Output(json)
    of = newest(lab, run, trained=True)
    if not lab.controls(of).shuffled:
        work = lab.prove(of)
        if detach:
            out.give({"run": work, "of": of}, f"The control {work} has begun.")
            return
        succeed(follow(lab, work, out))
    found = lab.controls(of)
    out.give({"of": of} | found.model_dump(), found.words)
