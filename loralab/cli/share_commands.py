"""Owns the commands about sharing: deploy, link, revoke, serve. Invariant: the promises of app.py; a token is printed once."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loralab import lab as facade
from loralab.cli import terminal
from loralab.cli.console import Home, Json, Output, Run, follow, newest, succeed
from loralab.core.errors import UserError

if TYPE_CHECKING:
    from loralab.lab import Deployment, Lab, Link

Format = Annotated[str, typer.Option("--format", help="What answers: safetensors (PyTorch), gguf (llama.cpp) or onnx (ONNX Runtime).")]
Named = Annotated[str, typer.Argument(metavar="DEPLOYMENT", help="Its id or its name; see `deployments`.")]
LOOK_S = 0.5  # between two looks whether the server is still there


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (deploy, deployments, link, links, revoke, serve):
        app.command()(command)


def deploy(
    run: Run = "last",
    name: Annotated[str, typer.Option("--name", help="An id of your own for it: small letters, digits, dots, dashes.")] = "",
    kind: Format = "safetensors",
    json: Json = False,
    home: Home = None,
) -> None:
    """Freeze what a run learned, so that it can be shared; prints its id."""
    lab, out = facade.Lab(home), Output(json)
    found = _frozen(lab, newest(lab, run, trained=True), name, kind, out)
    out.give({"deployment": found}, f"Frozen as {found.called}. Make a link: python -m loralab link {found.called}")


def _frozen(lab: Lab, run: str, name: str, kind: str, out: Output) -> Deployment:
    """The deployment of a run; what it is to answer from is made where it was not made yet."""
    try:
        return lab.deploy(run, name, kind)
    except UserError as error:
        if error.problem.code != "not_made":
            raise
    succeed(follow(lab, lab.export(run, kind), out))
    return lab.deploy(run, name, kind)


def deployments(json: Json = False, home: Home = None) -> None:
    """What is shared, with the versions of data, model and adapter."""
    lab = facade.Lab(home)
    found = lab.deployments()
    open_ = [one.deployment for one in lab.links() if one.state == "open"]
    rows = [(one.id, one.name, one.title, one.base, *(one.versions.model_dump().values()), open_.count(one.id) or "none") for one in found]
    head = ("id", "name", "run", "base", "data", "model", "adapter", "open links")
    Output(json).give({"deployments": found}, terminal.table(rows, head) if rows else "Nothing is shared yet.")


def link(
    deployment: Named,
    scope: Annotated[str, typer.Option("--scope", help="chat, classify, weights or page. Left out: asking it.")] = "",
    hours: Annotated[float, typer.Option("--hours", help="How long it is open.")] = 24.0,
    calls: Annotated[int, typer.Option("--calls", help="Close it after so many uses; 0: only by time.")] = 0,
    note: Annotated[str, typer.Option("--note", help="For whom it is.")] = "",
    json: Json = False,
    home: Home = None,
) -> None:
    """Make a link to a deployment. Its token is shown now and never again."""
    lab = facade.Lab(home)
    made, places = lab.link(deployment, scope, hours, calls=calls, note=note)
    text = [f"Token: {made.token}", f"Open until {_clock(made.expires)}. Close it: python -m loralab revoke {made.id}"]
    text += places or ("Start the server, and the link has an address: python -m loralab serve",)
    Output(json).give({"link": made, "addresses": places}, "\n".join(text))


def links(json: Json = False, home: Home = None) -> None:
    """Every link: what it opens, until when, how often and when it was used."""
    lab = facade.Lab(home)
    names = {one.id: one.called for one in lab.deployments()}
    found = lab.links()
    Output(json).give({"links": [_told(one) for one in found]}, _table(found, names) if found else "There is no link yet.")


def _told(link: Link) -> dict[str, Any]:
    return link.model_dump(exclude={"token", "digest"}) | {"state": link.state}


def _table(found: tuple[Link, ...], names: dict[str, str]) -> str:
    rows = [
        (
            one.id,
            names.get(one.deployment, "gone"),
            one.scope,
            one.state.replace("_", " "),
            _clock(one.expires),
            one.uses.calls,
            _clock(one.uses.last) if one.uses.last else "never",
            one.note,
        )
        for one in found
    ]
    return terminal.table(rows, ("link", "to", "for", "", "until", "uses", "last", "note"))


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment).astimezone().strftime("%Y-%m-%d %H:%M")


def revoke(
    link: Annotated[str, typer.Argument(metavar="LINK", help="Its id from `links`, or its token.")], json: Json = False, home: Home = None
) -> None:
    """Close a link at once and for good."""
    found = facade.Lab(home).revoke(link)
    Output(json).give({"link": _told(found)}, f"The link {found.id} is closed.")


def serve(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    run: Annotated[str, typer.Argument(metavar="[RUN]", help="Freeze this run first (or “last”).")] = "",
    kind: Format = "safetensors",
    port: Annotated[int, typer.Option("--port", help="Port on this computer (default: the one it had last, or a free one).")] = 0,
    house: Annotated[bool, typer.Option("--house", help="Also for other devices in the same network.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Start it and return at once.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop the one that runs.")] = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Answer for everything that was frozen, over HTTP; Ctrl-C ends it."""
    lab, out = facade.Lab(home), Output(json)
    if stop:
        gone = lab.stop_serving()
        out.give({"stopped": gone}, "It is stopped." if gone else "Nothing was being served.")
        return
    shared = _frozen(lab, newest(lab, run, trained=True), "", kind, out) if run else None
    found = lab.serve(port, house=house)
    text = [f"Answering at {place}" for place in found.places]
    text += [f"API: {found.here}/v1, described at {found.here}/docs", f"The owner's key: {lab.owner_key()}"]
    text += [f"Model: {shared.called}"] if shared else []
    out.give({"server": found, "url": found.here, "key": lab.owner_key(), "deployment": shared}, "\n".join(text))
    if not detach:
        _stay(lab, out)


def _stay(lab: Lab, out: Output) -> None:
    """Until Ctrl-C, or until somebody else stops it."""
    try:
        while lab.serving():
            time.sleep(LOOK_S)
    except KeyboardInterrupt:
        lab.stop_serving()
        out.say("It is stopped.")
