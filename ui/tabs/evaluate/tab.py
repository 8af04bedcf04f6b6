"""Owns the fourth tab: did it get better, by how much, on which examples, and a chat to try it. Invariant: it shows what files say."""

from __future__ import annotations

import gradio as gr

from loralab.core.events import RunView
from loralab.core.jobs import is_control
from loralab.lab import Lab
from ui.errors import show_errors
from ui.markup import markup
from ui.page import Page, Updates
from ui.tabs.evaluate import measuring
from ui.tabs.evaluate.chat import chat
from ui.tabs.evaluate.judged import Found, found_of
from ui.tabs.evaluate.labels_view import labels_html
from ui.tabs.evaluate.more import compare_section, proof_section, report_buttons
from ui.tabs.evaluate.rows import rows_section
from ui.tabs.evaluate.section import Section
from ui.tabs.evaluate.view import NOT_YET, measures_html, state_of, verdict_html
from ui.words import heading, notice

A_CONTROL = "This run is a control: it learned from shuffled answers on purpose. If it is called better, do not trust the verdict."


def build(lab: Lab, page: Page) -> None:
    """Draw the tab and wire it."""
    markup(heading("Did it get better?", "Tested on examples it never saw, once without and once with what it learned."))
    work, clock = gr.State(""), gr.Timer(0.7, active=False)
    verdict = markup(NOT_YET, elem_id="verdict")
    with gr.Row(visible=False, elem_classes="actions") as actions:
        measure, stop = measuring.buttons()
        report_buttons(page)
    line = markup(elem_id="measuring")
    with gr.Column(visible=False) as second:
        judge = measuring.judge_field()
    parts = measuring.Measuring(work, clock, measure, stop, judge, line)
    measures, labels = markup(elem_id="measures"), markup(elem_id="labels")

    def fill(run: str, view: RunView | None, found: Found | None) -> Updates:
        words = state_of(view, found)
        seen = None if words else found
        control = notice(A_CONTROL) if seen and is_control(page.lab.job(run)) else ""
        shown: Updates = {actions: gr.Row(visible=_ready(view)), second: gr.Column(visible=_ready(view))}
        shown |= {measures: measures_html(seen), labels: labels_html(seen)} if seen else {measures: "", labels: ""}
        return shown | {verdict: control + verdict_html(seen) if seen else words}

    top = Section([verdict, actions, second, measures, labels], fill)
    rows = rows_section(page)
    with gr.Column(visible=False, elem_classes="card talk") as talk:
        chat(page)
    ready = Section([talk], lambda _run, view, _found: {talk: gr.Column(visible=_ready(view))})
    again = measuring.section(page, parts)
    _wire(page, [top, again, rows, ready, compare_section(page), proof_section(page)], parts)


def _ready(view: RunView | None) -> bool:
    return bool(view and view.made("adapter") and not view.active)


def _wire(page: Page, sections: list[Section], parts: measuring.Measuring) -> None:
    outputs = [component for section in sections for component in section.outputs]

    def filled(run: str) -> Updates:
        view = page.lab.view(run) if run else None
        found = found_of(page.lab, run, view) if view and not view.active else None
        return {part: update for section in sections for part, update in section.fill(run, view, found).items()}

    page.moment.change(show_errors(filled), page.run, outputs, show_progress="hidden")
    measuring.wire(page, parts, outputs, filled)
