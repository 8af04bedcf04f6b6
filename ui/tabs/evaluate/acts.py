"""Owns what a person can do on a run's page: each act by the word that its button carries.

Invariant: an act changes the lab, then gives what is to be drawn anew; what cannot be done is raised, and said where it was asked for.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from loralab.core.errors import UserError
from loralab.core.events import RunView
from loralab.lab import Lab
from ui.desk import VISION_USUAL
from ui.markup import draw
from ui.opening import open_folder
from ui.page import ASKED_ELSEWHERE, Page, Updates
from ui.runs.run_names import run_title
from ui.settings import remember
from ui.tabs.evaluate.home import Home, step_of
from ui.tabs.evaluate.judged import Found, found_of
from ui.tabs.evaluate.rows_view import PAGE
from ui.wires import go_to

SECONDS = 90.0  # in which what was deleted can be brought back from where it was


@dataclass(frozen=True)
class Gone:
    """The run that was deleted last on this page."""

    title: str = ""
    place: str = ""
    time: float = 0.0

    def said(self) -> str:
        """That it is gone, and the way back; nothing after a while."""
        return draw("result", "gone", self.title, self.place) if self.place and time.time() - self.time < SECONDS else ""


NOTHING_GONE = Gone()


@dataclass(frozen=True)
class Here:
    """What an act is about, and where it draws."""

    page: Page
    home: Home
    gone: gr.State
    run: str
    dataset: str
    model: str

    @property
    def lab(self) -> Lab:
        return self.page.lab

    def seen(self) -> tuple[RunView, Found | None]:
        """The run as it is now. Raises UserError where there is none."""
        view = self.lab.view(self.run)
        return view, found_of(self.lab, self.run, view) if not view.active else None


# ---- the acts ----------------------------------------------------------------------------------------------------------------


def _rename(here: Here, name: str) -> Updates:
    here.lab.rename(here.run, name)
    return {here.home.result: here.home.top(here.run, *here.seen())}


def _others(here: Here, first: str) -> Updates:
    return {here.home.result: here.home.top(here.run, *here.seen(), first=int(first))}


def _own(here: Here, prompt: str) -> Updates:
    here.lab.wonder(here.run, prompt)
    return {here.home.result: here.home.top(here.run, *here.seen())}


def _folder(here: Here, _: str) -> Updates:
    open_folder(here.lab.home, here.lab.home / "runs" / here.run)
    return gr.skip()


def _delete(here: Here, _: str) -> Updates:
    title, place = run_title(here.lab, here.run), here.lab.delete(here.run)
    left = next((str(row["id"]) for row in here.lab.runs() if row["kind"] == "train"), "")
    remember(here.lab.home, {"run": left})
    gone = Gone(title, str(place), time.time())
    return {here.gone: gone, here.page.run: left} | (
        {} if left else {here.home.result: gone.said(), here.home.what_next: "", here.home.folds: ""}
    )


def _restore(here: Here, place: str) -> Updates:
    return {here.gone: NOTHING_GONE, here.page.run: here.lab.restore(Path(place))}


def _duplicate(here: Here, _: str) -> Updates:
    """The plan page with this run's examples, model and settings."""
    plan, page = here.lab.job(here.run).plan, here.page
    dataset, model = str(plan.get("dataset", "")), str(plan.get("base_model", ""))
    if not Path(dataset).exists():
        raise UserError(
            "The examples of this run are no longer where they were.", "Choose them again on the first page.", code="no_dataset"
        )
    usual = model == VISION_USUAL  # it follows from the pictures, and the model for texts stays as it is
    settings = {name: value for name, value in plan.items() if name in page.form.names and name not in (*ASKED_ELSEWHERE, "title")}
    page.desk.note_reasons(settings, f"As in “{run_title(here.lab, here.run)}”.")
    turned: Updates = {page.tabs: go_to("plan")}
    model = here.model if usual else model
    if (dataset, model) == (here.dataset, here.model):
        return turned | {page.nudge: str(time.time_ns())} | page.form.updates(settings | {"task": plan.get("task")})
    return turned | {page.dataset: dataset, page.model: model, page.pending: settings}


def _improve(here: Here, _: str) -> Updates:
    step = step_of(here.page, here.run)
    if step is None:
        raise UserError("There is nothing to do about this run any more.", "Look at it again.", code="no_step")
    run = here.page.advisor.improve(step)
    remember(here.lab.home, {"run": run})
    return {here.page.run: run, here.page.tabs: go_to("train")}


def _try(here: Here, _: str) -> Updates:
    """A person says yes, once and for later, too; what would help is tried."""
    here.page.advisor.allow(try_first=True)
    here.page.advisor.try_first(here.run)
    return {here.home.what_next: here.home.step(here.page, here.run)}


def _untry(here: Here, _: str) -> Updates:
    here.page.advisor.allow(try_first=False)
    return {here.home.what_next: here.home.step(here.page, here.run)}


def _cancel(here: Here, _: str) -> Updates:
    here.page.advisor.cancel_test(here.run)
    return {here.home.what_next: here.home.step(here.page, here.run)}


def _judged(here: Here, picks: str) -> Updates:
    chosen = {int(row): pick for row, pick in json.loads(picks).items()}
    verdict = here.lab.judged(here.run, chosen)
    heard = "Kept with the run." if verdict is None else verdict.usable_words
    view, found = here.seen()
    return {here.home.result: here.home.top(here.run, view, found), here.home.folds: here.home.below(here.run, view, found, heard)}


def _again(here: Here, _: str) -> Updates:
    return {here.home.folds: here.home.below(here.run, *here.seen())}


def _rows(here: Here, which: str) -> Updates:
    change, _, most = which.partition(":")
    return {here.home.folds: here.home.below(here.run, *here.seen(), rows=(change, int(most or PAGE)))}


ACTS: Mapping[str, Callable[[Here, str], Updates]] = {
    "rename": _rename,
    "others": _others,
    "own": _own,
    "folder": _folder,
    "delete": _delete,
    "restore": _restore,
    "duplicate": _duplicate,
    "improve": _improve,
    "try": _try,
    "untry": _untry,
    "cancel": _cancel,
    "judged": _judged,
    "again": _again,
    "rows": _rows,
}
