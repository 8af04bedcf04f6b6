"""Owns the meeting of errors and people on the screen. Invariant: a person reads a sentence and a next step, never a traceback."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

import gradio as gr

from loralab.errors import LabError, Problem, Unavailable, UserError
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


def told(callback: Callable[P, R]) -> Callable[P, R]:
    """Wrap a callback so that every error in it reaches the person in plain words. Works for streaming callbacks too."""
    if inspect.isgeneratorfunction(callback):

        @functools.wraps(callback)
        def stream(*args: P.args, **kwargs: P.kwargs) -> Iterator[object]:
            with _in_words(callback.__name__):
                yield from callback(*args, **kwargs)

        return stream  # pyright: ignore[reportReturnType]

    @functools.wraps(callback)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with _in_words(callback.__name__):
            return callback(*args, **kwargs)

    return call


@contextmanager
def _in_words(name: str) -> Iterator[None]:
    try:
        yield
    except gr.Error:
        raise
    except LabError as error:
        LOG.info("%s: %s", name, error)
        raise _toast(error.problem, _title(error)) from error
    except Exception as error:
        # Not ours: a bug. The person gets one sentence, the file gets all of it.
        LOG.exception("%s failed", name)
        raise _toast(BUG, "Sorry") from error


def _title(error: LabError) -> str:
    match error:
        case UserError():
            return "Please check this"
        case Unavailable():
            return "Not available yet"
        case _:
            return "That did not work"


def _toast(problem: Problem, title: str) -> gr.Error:
    return gr.Error(esc(str(problem)), duration=15, title=title, print_exception=False)
