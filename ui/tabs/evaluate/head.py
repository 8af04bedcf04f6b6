"""Owns the head of a run's page: its name, what it was made of, and what can be done with it; and what it says while it learns.

Invariant: what a person reads as its name is what every list, report and export calls it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loralab.core.events import RunView
from loralab.core.jobs import data_title
from loralab.core.paths import model_name
from loralab.lab import Lab, different_settings
from ui.markup import draw
from ui.runs.run_names import run_title, when
from ui.words import count, duration, empty

STILL = "First it learns, then it is tested on examples it never saw. What came of it stands here as soon as that is done."
LEFT_OUT = ("roles", "guessed")  # of the settings that are shown: they are columns of a file


@dataclass(frozen=True)
class Typed:
    """What a person typed into a form (name or own) that could not be done, and what is said of it."""

    form: str = ""
    value: str = ""
    said: str = ""

    def of(self, form: str) -> Typed:
        """This where it is of that form, else nothing."""
        return self if self.form == form else Typed()


def head_html(lab: Lab, view: RunView, said: str = "", typed: Typed = Typed()) -> str:
    """The name, and what it was made of."""
    places = [("pick", "duplicate", "Plan it again, with changes"), ("pick", "folder", "Open its folder")]
    if not view.active:
        places += [("press", "save-report", "Save report"), ("pick", "delete", "Delete")]
    return draw("result", "head", run_title(lab, view.run), about(lab, view), places, said, typed)


def about(lab: Lab, view: RunView) -> str:
    """How many examples, which model, how long and when."""
    plan, counted = lab.job(view.run).plan, view.measured
    examples = (
        count(counted.n_train + counted.n_heldout, "picture" if lab.sees(view.run) else "example")
        if counted and counted.n_train
        else data_title(str(plan.get("dataset", "")))
    )
    took = duration(view.ended - view.started) if view.ended and view.started else ""
    return " · ".join(filter(None, (examples, model_name(str(plan.get("base_model", ""))), took, when(view.started))))


def learning_html(view: RunView) -> str:
    """What stands here while it learns."""
    waits = "It waits for its turn" if view.queued else "It is still at work"
    button = draw("result", "row", ({"words": "Watch it learn", "way": "go", "value": "train", "main": True},))
    return empty(waits, STILL) + button


def settings_html(plan: dict[str, Any]) -> str:
    """Every setting of the run, folded, and where its curve is."""
    rows = [
        (name, value) for name, value, _ in different_settings({k: v for k, v in plan.items() if k not in LEFT_OUT}, {}) if value != "–"
    ]
    body = draw("result", "how", rows)
    return draw("result", "fold", "How it learned", "the curve, what happened, every setting", body, "how")
