"""Owns the commands that take a result away and bring one in. Invariant: the promises of cli.py; the unproven is never called ready."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loralab import lab as facade
from loralab.cli import terminal
from loralab.cli.console import Home, Json, Output, Run, follow, newest, source, succeed

if TYPE_CHECKING:
    from loralab.core.parity import Parity

WORDS = {
    "proven": "GREEN: it was opened in its own program and answers as what you trained.",
    "differs": "RED: it does not answer as what you trained. It was kept under a name that says so; do not rely on it.",
    "untried": "NOT PROVEN: nobody has opened it in its own program yet.",
}


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(export)
    app.command()(verify)
    app.command("import")(bring_in)


def export(
    run: Run = "last",
    kind: Annotated[
        str,
        typer.Option(
            "--format", help="adapter: PEFT folder and zip. merged, pt: whole model. gguf, ollama, lm_studio, onnx, page: elsewhere."
        ),
    ] = "adapter",
    variant: Annotated[str, typer.Option("--variant", help="gguf: q4_k_m (usual), q5_k_m, q6_k, q8_0, q2_k, f16, bf16.")] = "",
    install: Annotated[bool, typer.Option("--install", help="Also give it to Ollama or LM Studio on this computer.")] = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Make the file to take away, and tell whether it answers as what was trained (exit code 3 where it does not)."""
    lab, out = facade.Lab(home), Output(json)
    of = newest(lab, run, trained=True)
    work = lab.export(of, kind, variant, install=install)
    view = follow(lab, work, out)
    succeed(view)
    made = [artifact.path for artifact in view.artifacts if artifact.kind == "export"]
    told = view.ending.result if view.ending else {}
    given = {name: told[name] for name in ("installed", "not_installed") if told.get(name)}
    from loralab.core import parity

    found = parity.read(Path(str(told["folder"]))) if told.get("folder") else None
    shown = found.model_dump(mode="json") if found else {}
    data = {"run": work, "of": of, "outcome": view.state, "files": made, "parity": shown} | given
    out.give(data, "\n".join([*made, *given.values(), *(card(found) if found else [])]))
    if found and found.outcome == "differs":  # a script must not take it for good
        raise typer.Exit(3)


def verify(
    name: Annotated[str, typer.Argument(metavar="EXPORT", help="An export's id, its folder or file, or the run it was made of.")] = "last",
    json: Json = False,
    home: Home = None,
) -> None:
    """Check a finished export again: that no file was changed, then that it answers as what was trained (exit code 3 where not)."""
    lab, out = facade.Lab(home), Output(json)
    export = lab.export_named(newest(lab, name, trained=True) if name == "last" else name)
    work = lab.check_export(export)
    view = follow(lab, work, out)
    succeed(view)
    told = view.ending.result if view.ending else {}
    from loralab.core import parity

    found = parity.read(Path(str(told["folder"]))) if told.get("folder") else None
    shown = found.model_dump(mode="json") if found else {}
    place = str(told.get("folder") or "")
    out.give(
        {"run": work, "export": export, "outcome": view.state, "folder": place, "parity": shown},
        "\n".join([place, *(card(found) if found else [])]),
    )
    if found is None or not found.proven:  # a script must not take it for good
        raise typer.Exit(3)


def card(found: Parity) -> list[str]:
    """The parity card for a terminal: green or red, each number with its bound, what to do."""
    rows = [
        (check.name, "told" if check.told_only else "same" if check.ok else "DIFFERS", check.words, check.bound_words)
        for check in found.checks
    ]
    lines = ["", WORDS[found.outcome]]
    lines += [terminal.table(rows, ("check", "", "found", "bound"))] if rows else [found.words]
    lines += [f"Probably: {found.why}"] if found.why else []
    return lines + [line for line in (found.todo, found.took) if line]


def bring_in(
    path: Annotated[Path, typer.Argument(metavar="FOLDER_OR_ZIP", help="An adapter: its folder or its zip.")],
    base: Annotated[str, typer.Option("--base", help="The base model it belongs to, where it does not say.")] = "",
    data: Annotated[str, typer.Option("--data", help="Examples to judge it on: a file, or a bundled data set's name.")] = "",
    json: Json = False,
    home: Home = None,
) -> None:
    """Import an adapter from elsewhere (ours, LLaMA-Factory's, Unsloth's, PEFT's), checked against its base; or a run that `keep` made."""
    lab, out = facade.Lab(home), Output(json)
    run = lab.import_adapter(path, base=base, data=source(lab, data) if data else "")
    told = [note for note in lab.view(run).notes if note.text]
    opened = [at for at, note in enumerate(told) if note.code == "opened"]  # a kept run: what it told before is its own story
    notes = [note.text for note in told[opened[-1] if opened else -4 :]]
    text = [f"It is here as {run}.", *notes, f"Talk to it: python -m loralab chat {run}"]
    out.give({"run": run, "plan": lab.job(run).plan, "notes": notes}, "\n".join(text))
