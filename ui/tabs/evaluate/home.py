"""Owns what stands on a run's page at each moment: learning, stopped, tested, tested long ago, or nothing yet.

Invariant: all of it follows from the run's files; nothing that was said before is kept on the page alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from advisor.proposals.next_step import NextStep
from advisor.proposals.pilots import tested
from loralab.core.errors import UserError
from loralab.core.events import RunView
from loralab.core.jobs import is_control
from loralab.lab import Lab, ToJudge
from ui.page import Page, Updates
from ui.shots import shots_of
from ui.tabs.evaluate.drawings import drawn_fold, drawn_html
from ui.tabs.evaluate.head import Typed, head_html, learning_html, settings_html
from ui.tabs.evaluate.judged import Found
from ui.tabs.evaluate.labels_view import labels_html
from ui.tabs.evaluate.picture_groups import groups_html
from ui.tabs.evaluate.pictures import fold_html, looks_html
from ui.tabs.evaluate.result import (
    MORE_DRAWINGS,
    MORE_PICTURES,
    MORE_ROWS,
    answers_html,
    asked_of,
    five_html,
    next_html,
    questions_html,
    worst_html,
)
from ui.tabs.evaluate.rows_view import PAGE, rows_fold
from ui.tabs.evaluate.section import Section
from ui.tabs.evaluate.trying import trial_of, trying_html
from ui.tabs.evaluate.view import OF_PICTURES, measures_html, state_of
from ui.words import notice

A_CONTROL = "This run is a control: it learned from shuffled answers on purpose. If it is called better, do not trust the verdict."


def is_ready(view: RunView | None) -> bool:
    """Whether there is something to talk to and to take away."""
    return bool(view and view.made("adapter") and not view.active)


def step_of(page: Page, run: str) -> NextStep | None:
    """The best next step; none for what the advisor knows nothing of, or where the examples are gone."""
    try:
        return page.advisor.next_step(run)
    except UserError:
        return None


def five_of(lab: Lab, run: str) -> tuple[ToJudge, ...]:
    """Five answers to judge; none where no answers were kept."""
    try:
        return lab.five_to_judge(run)
    except UserError:
        return ()


@dataclass(frozen=True)
class Home:
    """The three places of markup, and what is in them."""

    lab: Lab
    result: gr.HTML
    what_next: gr.HTML
    folds: gr.HTML

    def section(self) -> Section:
        """How they fill for a run. The next step takes a moment and comes after."""

        def fill(run: str, view: RunView | None, found: Found | None) -> Updates:
            verdict = view.conclusion if view else None
            ready = is_ready(view)
            return {
                self.result: self.top(run, view, found),
                self.what_next: self.at_work(run) or next_html(verdict, None, ready=ready, looked=False, more_words=self.more(run)),
                self.folds: self.below(run, view, found) if view and not view.active else "",
            }

        return Section([self.result, self.what_next, self.folds], fill)

    def top(self, run: str, view: RunView | None, found: Found | None, first: int = 0, said: str = "", typed: Typed = Typed()) -> str:  # noqa: B008  (frozen)
        """Name, answers and questions; or why there are none yet. `said` stands under the name."""
        if view is None:
            return said + state_of(view, found)
        head = head_html(self.lab, view, said, typed.of("rename"))
        if view.active:
            return head + learning_html(view)
        if view.state in ("failed", "killed") and view.ending:
            head += notice(view.ending.what, view.ending.todo, "warning")
        if found is None:
            return head + state_of(view, found)
        control = notice(A_CONTROL) if is_control(self.lab.job(run)) else ""
        told = answers_html(found, view.conclusion)
        if self.lab.sees(run):
            shots = shots_of(self.lab, run)
            if self.lab.draws(run):
                return head + shots.warning() + control + told + drawn_html(found, shots, first)
            return head + shots.warning() + control + told + looks_html(found, shots, first)
        asked = asked_of(view, found)
        own = typed.of("own") if is_ready(view) else None
        return head + control + told + questions_html(asked, first, own) + worst_html(view.conclusion, asked)

    def below(self, run: str, view: RunView, found: Found | None, heard: str = "", rows: tuple[str, int] = ("all", PAGE)) -> str:
        """Everything else, folded."""
        settings = settings_html(self.lab.job(run).plan)
        if found is None:
            return settings
        if self.lab.draws(run):
            return drawn_fold(found, shots_of(self.lab, run)) + measures_html(found, OF_PICTURES) + settings
        if self.lab.sees(run):
            pictures = fold_html(found, shots_of(self.lab, run), *rows)
            return measures_html(found, OF_PICTURES) + pictures + groups_html(found) + settings
        five = five_html(five_of(self.lab, run), view.conclusion, heard)
        return five + measures_html(found) + labels_html(found) + rows_fold(found, *rows) + settings

    def step(self, page: Page, run: str) -> str:
        """What next, once the advisor has looked."""
        view = page.lab.view(run) if run else None
        if view is None or view.active:
            return ""
        if working := self.at_work(run):
            return working
        step, trial = step_of(page, run), trial_of(page.advisor, run)
        return next_html(view.conclusion, step, ready=is_ready(view), more_words=self.more(run), trial=trial)

    def at_work(self, run: str) -> str:
        """The test of what would help, while it goes on; empty where none does."""
        found = tested(self.lab, run) if run else None
        return trying_html(self.lab, found) if found and found.active else ""

    def more(self, run: str) -> str:
        """What more of is advised where nothing better is known."""
        if run and self.lab.draws(run):
            return MORE_DRAWINGS
        return MORE_PICTURES if run and self.lab.sees(run) else MORE_ROWS
