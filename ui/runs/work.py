"""Owns the view of a short piece of work: an export, a download, a judgement.

Invariant: the work is a run of its own; leaving the page does not end it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from loralab.core.errors import RunFailed
from loralab.core.events import RunView
from loralab.core.words import duration
from loralab.lab import Lab
from ui.markup import draw

DOING = {
    "evaluate": "Measuring",
    "evaluate_export": "Measuring",
    "export": "Making it",
    "check_export": "Checking it",
    "train": "Trying it",
}  # by the kind of job


def follow(lab: Lab, run: str, doing: str, every: float = 0.4) -> Iterator[str]:
    """A progress line, again and again until the work is done. Raises RunFailed with the worker's own words when it went wrong."""
    while True:
        view = lab.view(run)
        if not view.active:
            break
        yield progress_line(view, doing)
        time.sleep(every)
    yield ""
    if view.state != "finished":
        what, todo = (view.ending.what, view.ending.todo) if view.ending else ("The work was interrupted.", "Try it again.")
        raise RunFailed(what or f"{doing} did not work.", todo)


def progress_line(view: RunView, doing: str) -> str:
    """What is being done, with a bar when its length is known."""
    return draw("runs", "work", doing, _doing_now(view), view.fraction)


def live_line(view: RunView, kind: str) -> str:
    """The progress line of a piece of work of its own, at a place that the live stream goes on filling."""
    return draw("runs", "live_work", view.run, progress_line(view, DOING.get(kind, "At work")))


def _doing_now(view: RunView) -> str:
    """How far a training is, what a judging measures; otherwise the last thing that was said."""
    if view.phase == "training" and view.total_steps:
        return f"update {view.step:,} of {view.total_steps:,}"
    if view.queued or view.phase not in ("", "starting", "training"):
        left = f", {duration(view.seconds_left)} left" if view.seconds_left and view.fraction and not view.steps else ""
        return view.phase.replace("_", " ") + left
    return view.notes[-1].text if view.notes else ""
