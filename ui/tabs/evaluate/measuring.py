"""Owns measuring a run again: the button, the optional judge, and the progress of what is at work.

Invariant: measuring is a run of its own. The page only looks for it, so it is found again after a reload, and leaving does not end it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from loralab.core.events import RunView
from loralab.lab import Lab
from ui.errors import show_errors, show_errors_at
from ui.markup import markup
from ui.page import Page, Updates
from ui.runs.work import follow, live_line
from ui.tabs.evaluate.judged import Found
from ui.tabs.evaluate.section import Section
from ui.tabs.evaluate.view import state_of
from ui.words import notice, paragraph

ASKED = (
    "Name the file of a model you have (.gguf) and it is asked, here on this computer, which answers it prefers: every pair twice, with "
    "the places swapped. One that changes its mind too often is not heard. It takes minutes, and the verdict never rests on it."
)


@dataclass(frozen=True)
class Measuring:
    """The parts drawn, before they are wired."""

    work: gr.State
    measure: gr.Button
    stop: gr.Button
    judge: gr.Textbox
    line: gr.HTML

    @property
    def shown(self) -> list[Any]:
        return [self.work, self.measure, self.stop, self.line]


def measuring_of(lab: Lab, name: str) -> RunView | None:
    """The measuring of a run, a checkpoint or an export that is at work or waits."""
    wanted = lab.subject(name)
    for row in lab.runs():
        if row.get("kind") in ("evaluate", "evaluate_export") and wanted.measured_by(lab.job(row["id"])):
            view = lab.view(row["id"])
            if view.active:
                return view
    return None


def measuring(lab: Lab, name: str) -> str:
    """The measuring that is at work, or a new one."""
    found = measuring_of(lab, name)
    return found.run if found else lab.evaluate(name)


def measured_first(lab: Lab, name: str, doing: str) -> Iterator[str]:
    """Progress lines until something has been measured; none where it has been."""
    if not lab.measured(name):
        yield from follow(lab, measuring(lab, name), doing)


def buttons() -> tuple[gr.Button, gr.Button]:
    """Measure again, and stop."""
    measure = gr.Button("Measure again", scale=0, min_width=170, elem_id="measure")
    return measure, gr.Button("Stop measuring", scale=0, min_width=150, visible=False)


def judge_field() -> tuple[gr.Accordion, gr.Textbox]:
    """Where a local judge is named, folded."""
    with gr.Accordion("Ask a second opinion", open=False, elem_classes="fold") as fold:
        markup(paragraph(ASKED, "fine"))
        return fold, gr.Textbox("", label="A model of yours as the judge", placeholder="/path/to/model.gguf", elem_id="judge", max_lines=1)


def section(page: Page, parts: Measuring) -> Section:
    """How the parts look for a run: at work or not."""

    def fill(run: str, view: RunView | None, found: Found | None) -> Updates:
        working = measuring_of(page.lab, run) if view and not view.active else None
        seen = not state_of(view, found)
        return {
            parts.work: working.run if working else "",
            parts.measure: gr.Button(
                "Measure again" if seen else "Measure", variant="secondary" if seen else "primary", interactive=not working
            ),
            parts.stop: gr.Button(visible=bool(working)),
            parts.line: live_line(working, "evaluate") if working else "",
        }

    return Section(parts.shown, fill)


def wire(page: Page, parts: Measuring, outputs: list[Any], filled: Any) -> Any:
    """`filled(run)` updates `outputs`, among which are the parts. Returns what happens when work began or ended, to go on from."""

    @show_errors_at("measure")
    def begin(run: str, judge: str) -> Updates:
        if not measuring_of(page.lab, run):
            page.lab.evaluate(run, judge=judge.strip().strip("\"'"))
        return filled(run)

    @show_errors
    def tick(run: str, work: str) -> Updates:
        view = page.lab.view(work) if work else None
        if view is not None and view.active:
            return {parts.line: live_line(view, "evaluate")}
        return filled(run) | ({parts.line: _ended(view)} if view is not None else {})

    parts.measure.click(begin, [page.run, parts.judge], outputs, show_progress="hidden", trigger_mode="once")
    ticked = page.work.change(tick, [page.run, parts.work], outputs, show_progress="hidden")
    parts.stop.click(show_errors(lambda work: page.lab.stop(work) if work else None), parts.work, None, show_progress="hidden")
    return ticked


def _ended(view: RunView) -> str:
    """Why a measuring ended before its end; empty where it did not."""
    if view.state == "finished":
        return ""
    what, todo = (view.ending.what, view.ending.todo) if view.ending else ("", "")
    return notice(what or "The measuring was interrupted.", todo or "Measure again.", "info" if view.state == "stopped" else "error")
