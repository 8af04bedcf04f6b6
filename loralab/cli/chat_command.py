"""Owns talking to what was trained, in a terminal: one question from a script, or a conversation that is kept for the next time.

Invariants: the promises of cli.py; an answer can be stopped at any piece and what was said stays; what a model writes moves no cursor.
"""

from __future__ import annotations

import contextlib
import importlib
import json as json_text
import re
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loralab import lab as facade
from loralab.cli import terminal
from loralab.cli.console import Home, Json, Output, Run, newest
from loralab.core.errors import LabError, UserError
from loralab.core.paths import write_atomic
from loralab.core.words import count

if TYPE_CHECKING:
    from loralab.lab import ChatServer, Lab

HELP = (
    "Write something. /both shows before and after side by side, /base and /adapter choose one, /system TEXT says who it is to be, "
    "/clear forgets what was said, Ctrl-C stops an answer, Ctrl-D ends."
)
KEPT = 200  # messages kept of a conversation
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # what could move the cursor or colour the screen


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(chat)


def chat(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    run: Run = "last",
    model: Annotated[str, typer.Option("--model", help="Talk to a bare model instead of a run.")] = "",
    prompt: Annotated[str, typer.Option("--prompt", help="Ask this one thing and end; “-” reads it from standard input.")] = "",
    base: Annotated[bool, typer.Option("--base", help="Switch the adapter off.")] = False,
    both: Annotated[bool, typer.Option("--both", help="Show the answers before and after training side by side.")] = False,
    system: Annotated[str, typer.Option("--system", help="Say who it is to be: the conversation's first words.")] = "",
    serve: Annotated[
        bool, typer.Option("--serve", help="Meanwhile let programs ask it too, over HTTP; ends with the conversation.")
    ] = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Talk to what was trained. A conversation is kept and goes on the next time."""
    lab, out = facade.Lab(home), Output(json)
    of = "" if model else newest(lab, run, trained=True)
    if serve and not of:
        raise UserError("Only what was trained can be served.", "Leave --serve out, or name a run.", code="no_run")
    with _served(lab, of, out) if serve else contextlib.nullcontext(lab.chat(of, model or "starter")) as server:
        if json or prompt:
            asked = sys.stdin.read().strip() if prompt in ("", "-") else prompt
            _one(server, out, of, asked, system, base=base, both=both)
            return
        _talk(server, out, lab.home, of or re.sub(r"[^A-Za-z0-9._-]+", "--", model), system, base=base, both=both and bool(of))


@contextlib.contextmanager
def _served(lab: Lab, of: str, out: Output) -> Generator[ChatServer]:
    """The run behind the sharing server, and where others ask it. A server that was up before stays up."""
    before, shared = lab.serving(), lab.deploy(of)
    server = lab.chat_served(shared.id)
    found = lab.serving()
    if found:
        out.say(f"Programs ask it at {found.here}/v1, as model {shared.called}, with this key: {lab.owner_key()}")
    try:
        yield server
    finally:
        if before is None:
            lab.stop_serving()


def _talk(server: ChatServer, out: Output, home: Path, name: str, system: str, *, base: bool, both: bool) -> None:
    """A conversation until its input ends."""
    talk = Talk(server, out, home / "chats" / f"{name}.json", base=base, both=both)
    talk.open()
    if system:
        talk.system(system)
    talk.go_on()


def _one(server: ChatServer, out: Output, of: str, asked: str, system: str, *, base: bool, both: bool) -> None:
    """A question and its answer; with `both`, that of the bare model, too."""
    messages = [*([{"role": "system", "content": system}] if system else []), {"role": "user", "content": asked}]
    begun = time.monotonic()
    before = "".join(server.stream(messages, base=True)) if both else ""
    answer = "".join(server.stream(messages, base=base))
    data: dict[str, Any] = {"run": of or None, "prompt": asked, "answer": answer, "active_adapters": server.last_active}
    data |= {"before": before} if both else {}
    shown = terminal.side_by_side(before, answer, ("before", "after"), terminal.width()) if both else answer
    out.give(data | {"seconds": round(time.monotonic() - begun, 3)}, shown)


@dataclass
class Talk:
    """A conversation, and how it is shown."""

    server: ChatServer
    out: Output
    place: Path  # where it is kept
    base: bool = False
    both: bool = False
    messages: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    def open(self) -> None:
        """Take up what was said the last time."""
        with contextlib.suppress(OSError, ValueError):
            raw = json_text.loads(self.place.read_text("utf-8"))
            self.messages = [{"role": str(one["role"]), "content": str(one["content"])} for one in raw if isinstance(one, dict)]
        self.out.say(HELP)
        if asked := sum(one["role"] == "user" for one in self.messages):
            self.out.say(f"You go on from the last time ({count(asked, 'question')}).")

    def system(self, text: str) -> None:
        """The first words of the conversation; none takes them away."""
        rest = [one for one in self.messages if one["role"] != "system"]
        self.messages = [*([{"role": "system", "content": text}] if text else []), *rest]

    def go_on(self) -> None:
        """Questions and answers until the input ends."""
        while (said := self._asked()) is not None:
            command, _, rest = said.partition(" ")
            match command:
                case "":
                    continue
                case "/help":
                    self.out.say(HELP)
                case "/base" | "/adapter" | "/both":
                    self.base, self.both = command == "/base", command == "/both"
                case "/clear" | "/new":
                    self.messages = [one for one in self.messages if one["role"] == "system"]
                    self._keep()
                case "/system":
                    self.system(rest.strip())
                    self.out.say("It has been told." if rest.strip() else "It is told nothing before your question.")
                    self._keep()
                case _:
                    self._answer(said)

    def _asked(self) -> str | None:
        """A line of the person's; None at the end of the input. Ctrl-C here only clears the line."""
        sign = "(both) > " if self.both else "(base) > " if self.base else "> "
        try:
            if sys.stdin.isatty():
                with contextlib.suppress(ImportError):  # arrows and earlier lines, where the system has them
                    importlib.import_module("readline")
                return input(sign).strip()
            sys.stderr.write(sign)
            sys.stderr.flush()
            line = sys.stdin.readline()
            return line.strip() if line else None
        except EOFError:
            self.out.say("")
            return None
        except KeyboardInterrupt:
            self.out.say("\nCtrl-D ends.")
            return ""

    def _answer(self, said: str) -> None:
        asked = [*self.messages, {"role": "user", "content": said}]
        try:
            before = self._written(asked, base=True) if self.both else ""
            after = self._written(asked, base=self.base and not self.both)
        except LabError as error:
            self.out.say(str(error))
            return
        if self.both and sys.stdout.isatty():
            _print_both(before, after)
        elif self.both:
            sys.stdout.write(terminal.side_by_side(before, after, ("before", "after"), terminal.width()) + "\n")
        self.messages = [*asked, {"role": "assistant", "content": after}]
        self._keep()

    def _written(self, asked: list[dict[str, str]], *, base: bool) -> str:
        """An answer, shown as it comes; stopped by Ctrl-C it is what was written so far."""
        pieces, text = self.server.stream(asked, base=base), ""
        try:
            with _shown(quiet=self.both) as show:
                for piece in pieces:
                    text += _CONTROL.sub("", piece)
                    show(text)
        except KeyboardInterrupt:
            pieces.close()
            self.out.say("(stopped)")
        return text

    def _keep(self) -> None:
        first = [one for one in self.messages if one["role"] == "system"]
        rest = [one for one in self.messages if one["role"] != "system"][-KEPT:]
        write_atomic(self.place, json_text.dumps([*first, *rest], ensure_ascii=False, indent=1), private=True)


@contextlib.contextmanager
def _shown(*, quiet: bool) -> Generator[Any]:
    """A function that shows a text that grows: as Markdown in a terminal, as it comes in a file, nothing where `quiet`."""
    if quiet:
        yield lambda text: None
    elif sys.stdout.isatty():
        from rich.console import Console
        from rich.live import Live
        from rich.markdown import Markdown

        console, last = Console(), ""
        with Live(console=console, transient=True, refresh_per_second=8, vertical_overflow="crop") as live:

            def draw(text: str) -> None:
                nonlocal last
                last = text
                room = max(3, console.height - 2)
                live.update(Markdown("\n".join(text.splitlines()[-room:])))

            try:
                yield draw
            finally:
                live.update("")
        console.print(Markdown(last))
    else:
        told = 0

        def write(text: str) -> None:
            nonlocal told
            sys.stdout.write(text[told:])
            sys.stdout.flush()
            told = len(text)

        try:
            yield write
        finally:
            sys.stdout.write("\n")
            sys.stdout.flush()


def _print_both(before: str, after: str) -> None:
    """Two answers beside each other, as Markdown."""
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.table import Table

    table = Table("before", "after", expand=True, show_lines=False)
    table.add_row(Markdown(before or "(nothing)"), Markdown(after or "(nothing)"))
    Console().print(table)
