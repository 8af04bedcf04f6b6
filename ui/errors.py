"""Owns the meeting of errors and people on the screen. Invariant: a person reads a sentence and a next step, never a traceback."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import gradio as gr

from loralab.core.errors import LabError, Problem
from ui.words import esc

P = ParamSpec("P")
R = TypeVar("R")
BUG = Problem(
    code="bug", what="That did not work: LoRALab made a mistake.", todo="Nothing was lost. The details are in app.log in your workspace."
)
LOG = logging.getLogger("loralab.app")


def write_log(home: Path) -> None:
    """Send what the app has to say for itself to app.log in the workspace."""
    writer = logging.FileHandler(home / "app.log", encoding="utf-8")
    writer.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    LOG.addHandler(writer)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False


def show_errors(callback: Callable[P, R]) -> Callable[P, R]:
    """Wrap a callback so that every error in it reaches the person in plain words. Works for streaming callbacks too.

    After an error nothing on the screen changes: Gradio's own way covers what the callback would have filled with the word “Error”.
    """
    name = callback.__name__
    if inspect.isgeneratorfunction(callback):

        @functools.wraps(callback)
        def stream(*args: P.args, **kwargs: P.kwargs) -> Iterator[object]:
            try:
                yield from callback(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - one of the three places where errors meet people
                yield tell(name, error)

        return stream  # pyright: ignore[reportReturnType]

    @functools.wraps(callback)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return callback(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - see above
            return tell(name, error)

    return call


def tell(name: str, error: Exception) -> Any:
    """Say it, write it down, and leave every output as it is."""
    if isinstance(error, LabError):
        LOG.info("%s: %s", name, error)
        problem = error.problem
    else:
        # Not ours: a bug. The person gets one sentence, the file gets all of it.
        LOG.error("%s failed", name, exc_info=error)
        problem = BUG
    gr.Warning("<br>".join(filter(None, (esc(problem.what), esc(problem.todo)))), duration=15)
    return gr.skip()
