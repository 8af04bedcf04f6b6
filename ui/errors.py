"""Owns the meeting of errors and people on the screen.

Invariants: a person reads a sentence and a next step, never a traceback; it stands beside what they did until they do it again.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import gradio as gr

from loralab.core.errors import LabError, Problem
from loralab.core.masking import Masking
from ui.markup import draw

P = ParamSpec("P")
R = TypeVar("R")
BUG = Problem(
    code="bug", what="That did not work: LoRALab made a mistake.", todo="Nothing was lost. The details are in app.log in your workspace."
)
# Code of an error -> the button that helps, and where it leads: a tab, and what is pressed there.
REMEDIES = {
    "not_downloaded": ("Get it", "go-plan press-get-model"),
    "no_dataset": ("Choose examples", "go-dataset"),
    "roles_unclear": ("Look at the columns", "go-dataset"),
    "bad_setting": ("Look at the settings", "go-plan"),
}
LOG = logging.getLogger("loralab.app")


def write_log(home: Path) -> None:
    """Send what the app has to say for itself to app.log in the workspace."""
    writer = logging.FileHandler(home / "app.log", encoding="utf-8")
    writer.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    writer.addFilter(Masking())
    LOG.addHandler(writer)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False


def show_errors(callback: Callable[P, R]) -> Callable[P, R]:
    """Wrap a callback so that every error in it reaches the person in plain words, beside what they did. Works for streaming ones too.

    After an error nothing on the screen changes: Gradio's own way covers what the callback would have filled with the word “Error”.
    """
    return show_errors_at("")(callback)


def show_errors_at(place: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """The same, said beside the element of this id, for what does not come from a button or an input."""

    def wrap(callback: Callable[P, R]) -> Callable[P, R]:
        name = callback.__name__
        if inspect.isgeneratorfunction(callback):

            @functools.wraps(callback)
            def stream(*args: P.args, **kwargs: P.kwargs) -> Iterator[object]:
                try:
                    yield from callback(*args, **kwargs)
                except Exception as error:  # noqa: BLE001 - one of the three places where errors meet people
                    yield tell(name, error, place)

            return stream  # pyright: ignore[reportReturnType]

        @functools.wraps(callback)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return callback(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - see above
                return tell(name, error, place)

        return call

    return wrap


def tell(name: str, error: Exception, place: str = "") -> Any:
    """Say it where it stays (scripts/said.js), write it down, and leave every output as it is."""
    if isinstance(error, LabError):
        LOG.info("%s: %s", name, error)
        problem = error.problem
    else:
        # Not ours: a bug. The person gets one sentence, the file gets all of it.
        LOG.error("%s failed", name, exc_info=error)
        problem = BUG
    gr.Warning(refused(problem, place), duration=None, title="That did not work")
    return gr.skip()


def refused(problem: Problem, place: str = "") -> str:
    """What is said of an error: a sentence, a next step, and a button for it where one click is the next step."""
    label, ways = REMEDIES.get(problem.code, ("", ""))
    return draw("parts", "refused", problem.what, problem.todo, place, label, ways)
