"""Owns what the app serves beside Gradio's page (its script, the live stream, closing the app), and Gradio's own waiting.

Invariant: the page's script runs before Gradio's; a route of ours answers behind the doors like every other.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gradio as gr
from fastapi import BackgroundTasks, FastAPI, Response

from advisor.advisor import Advisor
from loralab.core.errors import LabError
from loralab.core.records import Record
from loralab.lab import Lab, QueueEntry
from ui.errors import LOG
from ui.live.message import Watched
from ui.live.stream import LIVE, Stream
from ui.live.tending import Tending
from ui.shots import PICTURE
from ui.words import count

SIDES = {"truth": 320, "said": 320, "why": 320}  # pixels of the longer side of a picture that is served
PAGE_SCRIPT, QUIT = "/lab/page.js", "/lab/quit"
SCRIPTS = ("quiet", "frame", "said", "making", "fields", "result", "curve", "pictures", "folder", "live", "door")  # in their order
QUEUE_LOOK, PROGRESS_LOOK = 0.05, 0.5  # seconds between two looks for a new event and for its progress; Gradio has 1 and 10 ms
AT_WORK = {"train": "goes on learning", "evaluate": "goes on being compared", "export": "goes on being exported"}


class Closing(Record):
    """What a person is told before the app is closed."""

    words: str


class Served:
    """Our own routes. `end` is what closes the app; whoever runs the server says what that is."""

    def __init__(self, lab: Lab, end: Callable[[], None] | None = None) -> None:
        self.lab, self.end = lab, end
        self.tending = Tending(Advisor(lab))
        self.stream = Stream(Watched(lab, self.tending))

    def add_to(self, app: FastAPI) -> None:
        """Add them; they have to be there before Gradio's, which takes every path."""
        app.add_api_route(PAGE_SCRIPT, page_script)
        app.add_api_route(LIVE, self.stream.live)
        app.add_api_route(PICTURE, self.picture)
        app.add_api_route(QUIT, self.closing)
        app.add_api_route(QUIT, self.quit, methods=["POST"])

    def picture(self, run: str, name: str, what: str = "truth", drawn: str = "") -> Response:
        """A picture of a run's data set, by the name it has there: with what a person marked in it, what the model says, what it said
        while it learned (`drawn`), or where it looked (`why`).
        """
        try:
            found = self.lab.shown(run, name, SIDES[what], what, drawn) if what in SIDES else b""  # pyright: ignore[reportArgumentType]
        except LabError as error:
            LOG.info("picture of %s: %s", run, error)
            found = b""
        headers = {"cache-control": "no-store"}  # it may be of a patient: the browser keeps nothing
        if what == "drawn" and (made := self.lab.drawing(run, name)):
            return Response(made, media_type="image/png", headers=headers)
        return Response(found, media_type="image/webp", headers=headers) if found else Response(status_code=404, headers=headers)

    def closing(self) -> Closing:
        """What goes on without the app."""
        return Closing(words=goes_on(self.lab.queue()))

    def quit(self, after: BackgroundTasks) -> Closing:
        """Close the app, once this is answered."""
        self.stream.closing = True
        if self.end:
            after.add_task(self.end)
        return self.closing()


def goes_on(turns: tuple[QueueEntry, ...]) -> str:
    """What is at work goes on in a process of its own."""
    now = next((turn for turn in turns if turn.position == 0), None)
    waiting = sum(turn.position > 0 for turn in turns)
    if now is None:
        return "Nothing is at work, so nothing is lost."
    words = f"“{now.title or now.run}” {AT_WORK.get(now.kind, 'goes on')} without it."
    then = "waits and begins by itself" if waiting == 1 else "wait and begin by themselves"
    return f"{words} {count(waiting, 'run')} {then}." if waiting else words


def page_script() -> Response:
    """The page's own script, in one piece."""
    text = "\n".join((Path(__file__).parent / "scripts" / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    return Response(text, media_type="text/javascript", headers={"cache-control": "no-store"})


def calmed(demo: gr.Blocks) -> gr.Blocks:
    """The same with a queue that looks seldom: a look every millisecond takes 7 % of a core, with nothing to do."""
    queue = demo._queue  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  (there is no public way; a test holds that it is there)
    queue.sleep_when_free, queue.progress_update_sleep_when_free = QUEUE_LOOK, PROGRESS_LOOK
    return demo
