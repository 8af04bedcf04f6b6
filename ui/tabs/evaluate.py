"""Owns the fourth tab: did it get better, by how much, on which examples, and a chat to try it. Invariant: it shows what files say."""

from __future__ import annotations

from typing import Any

import gradio as gr

from loralab.events import RunView
from loralab.lab import Lab
from ui import evaluate_measuring
from ui.errors import told
from ui.evaluate_more import compare_section, proof_section, report_buttons
from ui.evaluate_rows import rows_section
from ui.evaluate_view import NOT_YET, measures_html, state_of, verdict_html
from ui.judged import Found, found_of
from ui.labels_view import labels_html
from ui.markup import markup
from ui.page import Page
from ui.section import Section
from ui.talk import chat
from ui.words import heading, notice

A_CONTROL = "This run is a control: it learned from shuffled answers on purpose. If it is called better, do not trust the verdict."


def build(lab: Lab, page: Page) -> None:
    """Draw the tab and wire it."""
    markup(heading("Did it get better?", "Tested on examples it never saw, once without and once with what it learned."))
    work, clock = gr.State(""), gr.Timer(0.7, active=False)
    verdict = markup(NOT_YET, elem_id="verdict")
    with gr.Row(visible=False, elem_classes="actions") as actions:
        measure, stop = evaluate_measuring.buttons()
        report_buttons(page)
    line = markup(elem_id="measuring")
    with gr.Column(visible=False) as second:
        judge = evaluate_measuring.judge_field()
    parts = evaluate_measuring.Measuring(work, clock, measure, stop, judge, line)
    measures, labels = markup(elem_id="measures"), markup(elem_id="labels")
    top = Section([verdict, actions, second, measures, labels], _top(page))
    rows = rows_section(page)
    with gr.Column(visible=False, elem_classes="card talk") as talk:
        chat(page)
    ready = Section([talk], lambda _run, view, _found: [gr.Column(visible=_ready(view))])
    again = evaluate_measuring.section(page, parts)
    _wire(page, [top, again, rows, ready, compare_section(page), proof_section(page)], parts)


def _ready(view: RunView | None) -> bool:
    return bool(view and view.adapter and not view.active)


def _top(page: Page) -> Any:
    def fill(run: str, view: RunView | None, found: Found | None) -> list[Any]:
        words = state_of(view, found)
        seen = None if words else found
        control = notice(A_CONTROL) if seen and page.lab.job(run).options.get("control") else ""
        numbers = [control + verdict_html(seen), measures_html(seen), labels_html(seen)] if seen else [words, "", ""]
        return [numbers[0], gr.Row(visible=_ready(view)), gr.Column(visible=_ready(view)), *numbers[1:]]

    return fill


def _wire(page: Page, sections: list[Section], parts: evaluate_measuring.Measuring) -> None:
    outputs = [component for section in sections for component in section.outputs]

    def filled(run: str) -> list[Any]:
        view = page.lab.view(run) if run else None
        found = found_of(page.lab, run, view) if view and not view.active else None
        return [update for section in sections for update in section.fill(run, view, found)]

    page.moment.change(told(filled), page.run, outputs, show_progress="hidden")
    evaluate_measuring.wire(page, parts, outputs, filled)
