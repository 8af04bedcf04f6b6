"""Owns the commands that give away and bring in: keep, publish, gallery. Invariant: the promises of cli.py; what is public is asked."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loralab import lab as facade
from loralab.cli import terminal
from loralab.cli.console import Home, Json, Output, Run, follow, newest, succeed
from loralab.core.errors import UserError
from loralab.core.words import count, size

if TYPE_CHECKING:
    from loralab.lab import Adapter, Lab

NO = UserError("Nothing was changed.", "Answer y, or add --yes.", code="not_confirmed")


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (keep, publish, gallery):
        app.command()(command)


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


def publish(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    run: Run = "last",
    kind: Annotated[str, typer.Option("--format", help="adapter, merged, gguf or onnx; made first where it is not there.")] = "adapter",
    variant: Annotated[str, typer.Option("--variant", help="The format's variant; left out, the usual one.")] = "",
    repo: Annotated[str, typer.Option("--repo", metavar="NAME", help="Its name on the Hub, or owner/name; left out, the run's.")] = "",
    samples: Annotated[bool, typer.Option("--with-samples", help="Show answers to your held-out examples on the card.")] = False,
    public: Annotated[bool, typer.Option("--public", help="Second act: let everybody see what is published already.")] = False,
    public_too: Annotated[bool, typer.Option("--public-too", help="Update it also where everybody sees it at once.")] = False,
    token: Annotated[bool, typer.Option("--token", help="Sign in with a token that is read from standard input.")] = False,
    sign_out: Annotated[bool, typer.Option("--sign-out", help="Take the token away from this computer, and end.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Publish a run to the Hugging Face Hub, for your own eyes; --public afterwards lets everybody see it."""
    lab, out = facade.Lab(home), Output(json)
    if sign_out:
        lab.hub_account.forget()
        out.give({"signed_in": False}, "Nobody is signed in to the Hub here any more.")
        return
    of = newest(lab, run, trained=True)
    _sign_in(lab, out, token=token, ask=not json)
    if public:
        _make_public(lab, of, repo or lab.published(of), out, yes=yes)
        return
    export = lab.made(of, kind, variant)
    if not export:
        export = lab.export(of, kind, variant)
        succeed(follow(lab, export, out))
    review = lab.publishing(export, samples=samples)
    name = repo or lab.published(of) or _name_of(review.title, of)
    out.say(f"These go to {name}: {', '.join(file for file, _ in review.files)} ({size(review.bytes)}). Only you will see them.")
    _tell_found(review.found, out)
    if not yes and (json or not typer.confirm("Publish it?", err=True)):
        raise NO
    work = lab.publish(export, name, samples=samples, seen=public_too)
    view = follow(lab, work, out)
    succeed(view)
    told = view.ending.result if view.ending else {}
    words = view.ending.what if view.ending else ""
    out.give({"run": work, "of": of, "outcome": view.state, **told}, "\n".join(filter(None, (words, str(told.get("url") or "")))))


def _name_of(title: str, run: str) -> str:
    plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in title.lower())
    return "-".join(part for part in plain.split("-") if part)[:80] or run


def _tell_found(found: tuple[facade.Found, ...], out: Output) -> None:
    for one in found[:10]:
        out.say(f"Look at this first: {one.words}")


def _sign_in(lab: Lab, out: Output, *, token: bool, ask: bool) -> None:
    """Nothing where somebody is signed in; else with the token given, or with a code to type on the Hub's page."""
    if token:
        out.say(f"Signed in as {lab.hub_account.keep(sys.stdin.readline()).name}.")
    elif not lab.hub_account.kept:
        if not ask:
            lab.hub_account.token()  # says in its own words what is to be done
        code = facade.begin_sign_in()
        out.say(f"Open {code.link} and type {code.shown}. Waiting for you there (Ctrl-C ends it).")
        given = None
        while given is None:
            time.sleep(code.every)
            given, code = facade.ask_sign_in(code)
        out.say(f"Signed in as {lab.hub_account.keep_signed_in(given).name}.")


def _make_public(lab: Lab, run: str, repo: str, out: Output, *, yes: bool) -> None:
    if not repo:
        raise UserError("This run is not published yet.", "Publish it first, without --public.", code="no_repo")
    seen = lab.visible(run, repo)
    rows = [(name, size(length)) for name, length in seen.files]
    out.say(f"Everybody will see {repo}:\n{terminal.table(rows, ('file', 'size'))}\n\nIts card:\n{seen.card}")
    _tell_found(seen.found, out)
    if not yes and not typer.confirm(f"Let everybody see {repo}?", err=True):
        raise NO
    lab.make_public(run, seen)
    told = {"repo": repo, "url": seen.url, "commit": seen.commit, "private": False, "files": [name for name, _ in seen.files]}
    out.give(told | {"found": [one.words for one in seen.found]}, f"Everybody can see {seen.url} now.")


def gallery(
    action: Annotated[str, typer.Argument(help="Left out: list. install NAME, card NAME, remove NAME, or make FOLDER RUN …")] = "list",
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME …")] = None,
    place: Annotated[str, typer.Option("--from", metavar="FOLDER|hub", help="A folder with an index file, or the Hub.")] = "hub",
    json: Json = False,
    home: Home = None,
) -> None:
    """Adapters for the models on this computer: look at them, install, remove, or make a gallery of your own."""
    lab, out, given = facade.Lab(home), Output(json), names or []
    if action == "make":
        _make(lab, given, out)
        return
    if action not in ("list", "install", "card", "remove") or (action != "list" and len(given) != 1):
        todo = "Use: gallery, gallery install NAME, gallery card NAME, gallery remove NAME, or gallery make FOLDER RUN."
        raise UserError("That is nothing a gallery does.", todo, code="bad_action")
    found = lab.gallery(place)
    if action == "list":
        rows = [(one.name, one.base, "here" if one.run else "fits" if one.model else "model missing", _said(one)) for one in found]
        text = terminal.table(rows, ("name", "base model", "", "what was found of it")) if rows else "No adapter was found."
        out.give({"from": place, "adapters": found}, text)
        return
    one = _chosen(found, given[0])
    if action == "card":
        out.give({"name": one.name, "card": (card := lab.gallery_card(one))}, card)
    elif action == "remove":
        if not one.run:
            raise UserError(f"“{one.title}” is not installed.", "See gallery for what is.", code="no_run")
        lab.delete(one.run)
        out.give({"name": one.name, "run": one.run}, f"{one.title} is in the workspace's trash now.")
    else:
        run = lab.install(one)
        out.give({"name": one.name, "run": run}, f"It is here as {run}.\nTalk to it: python -m loralab chat {run}")


def _said(one: Adapter) -> str:
    text = one.usable or one.learned or "; ".join(one.measured)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _chosen(found: tuple[Adapter, ...], name: str) -> Adapter:
    meant = [one for one in found if name in (one.name, one.title, one.run)]
    if len(meant) != 1:
        known = ", ".join(one.name for one in found[:8]) or "nothing"
        raise UserError(f"There is {'more than one' if meant else 'no'} “{name}” there.", f"There is: {known}.", code="no_adapter")
    return meant[0]


def _make(lab: Lab, given: list[str], out: Output) -> None:
    if len(given) < 2:
        raise UserError("A gallery needs a folder and a run.", "Use: gallery make FOLDER RUN …", code="bad_action")
    exports: list[str] = []
    for name in given[1:]:
        run = newest(lab, name, trained=True)
        export = lab.made(run) or lab.export(run)
        if lab.view(export).active:
            succeed(follow(lab, export, out))
        exports.append(export)
    made = lab.make_gallery(exports, given[0])
    told = {"folder": given[0], "adapters": [one.model_dump(exclude={"card"}) for one in made.adapters]}
    out.give(told, f"{count(len(made.adapters), 'adapter')} in {given[0]}. Others open it with: gallery --from FOLDER")
