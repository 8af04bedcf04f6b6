"""Owns the cards of the optional parts: adding one while the app runs, with its progress and a way to cancel, wherever its card stands.

Invariant: one part at a time; the addition is a thread of the app, so leaving the page does not end it and any page shows how far it
is. What goes wrong is said in the card itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from loralab.core.errors import LabError, Problem
from loralab.lab import Lab, Part, PartProgress
from ui.errors import show_errors
from ui.markup import draw

LOOKS_S = 0.6  # between two pictures of the progress
STARTING = PartProgress(words="Getting ready")
TOKEN = "token"  # noqa: S105  (the name of its card)


@dataclass
class Extras:
    """What is being added, and what went wrong the last time, by card."""

    lab: Lab
    name: str = ""
    at: PartProgress = STARTING
    problems: dict[str, Problem] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether one is being added now."""
        return self.thread is not None and self.thread.is_alive()

    def begin(self, name: str) -> None:
        """Begin to add a part; the one that is under way goes on."""
        if self.busy:
            return
        self.name, self.at = name, STARTING
        self.problems.pop(name, None)
        self.stopping.clear()
        self.thread = threading.Thread(target=self._add, args=(name,), daemon=True)
        self.thread.start()

    def _add(self, name: str) -> None:
        def note(at: PartProgress) -> None:
            self.at = at

        self._told(name, lambda: self.lab.add_part(name, note, self.stopping.is_set))

    def keep_token(self, token: str) -> None:
        """Keep a token of the Hub, or say in its card why not."""
        self.problems.pop(TOKEN, None)
        self._told(TOKEN, lambda: self.lab.hub_token.keep(token))

    def _told(self, name: str, work: Callable[[], object]) -> None:
        try:
            work()
        except LabError as error:
            self.problems[name] = error.problem

    def follow(self, name: str) -> Iterator[None]:
        """Add a part, giving control back again and again until it is there or not."""
        self.begin(name)
        while self.busy:
            yield
            time.sleep(LOOKS_S)

    def card(self, part: Part, doing: str = "") -> str:
        """The card of a part. `doing`: what follows once it is there, on the button."""
        at = self.at if self.busy and self.name == part.name else None
        return draw("optional", "card", part, doing, at, self.problems.get(part.name))

    def cards(self) -> str:
        """All of them, and the place for a token."""
        token = draw("optional", "token", self.lab.hub_token.kept, self.problems.get(TOKEN))
        return draw("optional", "cards", [*(self.card(part) for part in self.lab.parts()), token])


def answer_clicks(place: gr.HTML, extras: Extras, drawn: Callable[[], str]) -> None:
    """Let the cards in a place do what their buttons say; `drawn` makes the whole place anew."""

    @show_errors
    def act(event: gr.EventData) -> Iterator[Any]:
        verb, _, name = str(event.pick).partition(":")
        if verb == "add":
            for _ in extras.follow(name):
                yield drawn()
        elif verb == "cancel":
            extras.stopping.set()
        elif verb == "token":
            extras.keep_token(str(event.typed or ""))
        elif verb == "forget":
            extras.lab.hub_token.forget()
        yield drawn()

    place.click(act, None, place, show_progress="hidden", trigger_mode="multiple")
