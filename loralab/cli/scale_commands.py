"""Owns the commands for more than one computer: storing runs elsewhere and bringing them back. Invariant: the promises of app.py."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from loralab import lab as facade
from loralab.cli.console import File, Home, Json, Model, Output, Role, Run, model_for, newest, pairs, source, watching
from loralab.core.words import count, size

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="s3://BUCKET/FOLDER, or a folder; keys come from the environment.")]
TOLD_S = 5.0  # between two lines about how far it is


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (store, stored, fetch, vllm, shards):
        app.command()(command)


def store(
    run: Run,
    address: Address,
    data: Annotated[bool, typer.Option("--data", help="Store its examples, too.")] = False,
    every: Annotated[float, typer.Option("--every", metavar="MINUTES", min=0, help="Do it again and again until the run ends.")] = 0,
    json: Json = False,
    home: Home = None,
) -> None:
    """Store a training with its safety copies, or an export, elsewhere; what is there already is not sent again."""
    lab, out = facade.Lab(home), Output(json)
    run = newest(lab, run)
    while True:
        going = lab.view(run).active
        found = lab.store(run, address, data=data, note=_told(out))
        if not (every and going):
            break
        out.say(found.words)
        time.sleep(60 * every)
    numbers = {"files": len(found.stored.files), "bytes": found.stored.bytes, "sent_bytes": found.sent_bytes}
    out.give({"run": run, **numbers, "sent_pieces": found.sent_pieces, "there_already": found.there_already}, found.words)


def stored(address: Address, json: Json = False, home: Home = None) -> None:
    """What is stored there."""
    names = facade.Lab(home).stored(address)
    Output(json).give({"stored": names}, "\n".join(names) or "Nothing is stored there.")


def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What `stored` lists.")],
    address: Address,
    out_folder: Annotated[Path | None, typer.Option("--out", metavar="FOLDER", help="Where the files of an export go.")] = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """Bring back what is stored: a training becomes a run here and can be resumed, an export becomes a folder."""
    lab, out = facade.Lab(home), Output(json)
    found = lab.fetch(name, address, out_folder or "", _told(out))
    if isinstance(found, Path):
        out.give({"folder": str(found)}, str(found))
    else:
        out.give({"run": found}, f"{found} is here. See it with: python -m loralab show {found}")


def vllm(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to write it; a new or empty folder.")],
    deployments: Annotated[list[str] | None, typer.Argument(metavar="DEPLOYMENT...", help="Ids or names; left out: all.")] = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """Write what vLLM needs to serve deployments of one model to many at once, with a checker that knows five answers of each."""
    files = facade.Lab(home).vllm(folder, *(deployments or ()))
    text = f"Written: {folder} ({count(len(files), 'file')}). Start it with serve.sh, then try it with check.py; README.md says how."
    Output(json).give({"folder": str(folder), "files": [str(file) for file in files]}, text)


def shards(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    file: File,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to write them; the same again goes on after a cut.")],
    model: Model = "",
    role: Role = None,
    longest: Annotated[int, typer.Option("--max-length", min=16, help="Longest example, in tokens.")] = 512,
    learn_from: Annotated[str, typer.Option("--learn-from", help="replies or everything, as in a plan.")] = "replies",
    json: Json = False,
    home: Home = None,
) -> None:
    """Write examples as token ids in Arrow files, as a training reads them: rows by the million in little memory."""
    lab, out = facade.Lab(home), Output(json)
    how: dict[str, Any] = {"roles": pairs(role, "--role") or None, "max_length": longest, "learn_from": learn_from}
    found = lab.shards(source(lab, file), folder, model_for(lab, file, model), **how, watch=watching(out), note=_rows(out))
    numbers = {part: found.total(part) for part in ("read", "kept", "cut", "tokens", "learned")}
    out.give({"folder": str(folder), "files": len(found.shards), "digest": found.digest, **numbers}, found.words)


def _rows(out: Output) -> Callable[[int, int], None]:
    told = time.monotonic()

    def note(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told >= TOLD_S:
            told = time.monotonic()
            out.say(f"{done:,} of {count(total, 'row')}")

    return note


def _told(out: Output) -> Callable[[int, int], None]:
    """A line now and then."""
    told = time.monotonic()

    def note(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told >= TOLD_S:
            told = time.monotonic()
            out.say(f"{size(done)} of {size(total)}")

    return note
