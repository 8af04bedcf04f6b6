"""Owns the fourth tab: did it get better, by how much, on which examples, and a chat to try it. Invariant: it shows what files say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from loralab.events import RunView
from loralab.lab import Lab
from ui.errors import told
from ui.evaluate_more import compare_section, proof_section, report_buttons, until_done
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
    work = gr.State("")
    verdict = markup(NOT_YET, elem_id="verdict")
    with gr.Row(visible=False, elem_classes="actions") as actions:
        measure = gr.Button("Measure again", scale=0, min_width=170)
        stop = gr.Button("Stop measuring", scale=0, min_width=150, visible=False)
        report_buttons(page)
    measuring = markup(elem_id="measuring")
    measures, labels = markup(elem_id="measures"), markup(elem_id="labels")
    top = Section([verdict, actions, measure, stop, measures, labels], _top(page))
    rows = rows_section(page)
    with gr.Column(visible=False, elem_classes="card talk") as talk:
        chat(page)
    ready = Section([talk], lambda _run, view, _found: [gr.Column(visible=_ready(view))])
    sections = [top, rows, ready, compare_section(page), proof_section(page)]
    _wire(page, sections, work, measuring, measure, stop)


def _ready(view: RunView | None) -> bool:
    return bool(view and view.adapter and not view.active)


def _top(page: Page) -> Any:
    def fill(run: str, view: RunView | None, found: Found | None) -> list[Any]:
        words = state_of(view, found)
        seen = None if words else found
        control = notice(A_CONTROL) if seen and page.lab.job(run).options.get("control") else ""
        button = gr.Button("Measure again" if seen else "Measure", variant="secondary" if seen else "primary")
        numbers = [control + verdict_html(seen), measures_html(seen), labels_html(seen)] if seen else [words, "", ""]
        return [numbers[0], gr.Row(visible=_ready(view)), button, gr.Button(visible=False), *numbers[1:]]

    return fill


def _wire(page: Page, sections: list[Section], work: gr.State, measuring: gr.HTML, measure: gr.Button, stop: gr.Button) -> None:
    outputs = [component for section in sections for component in section.outputs]

    @told
    def filled(run: str) -> list[Any]:
        view = page.lab.view(run) if run else None
        found = found_of(page.lab, run, view) if view and not view.active else None
        return [update for section in sections for update in section.fill(run, view, found)]

    @told
    def measured(run: str) -> Iterator[Any]:
        judging = page.lab.evaluate(run)
        for line in until_done(page.lab, judging, "Measuring"):
            yield judging, line, gr.Button(visible=True)

    page.moment.change(filled, page.run, outputs, show_progress="hidden").then(lambda: "", None, measuring, show_progress="hidden")
    done = measure.click(measured, page.run, [work, measuring, stop], show_progress="hidden", trigger_mode="once")
    done.then(filled, page.run, outputs, show_progress="hidden")  # of the run that is looked at by then
    stop.click(told(lambda judging: page.lab.stop(judging) if judging else None), work, None, show_progress="hidden")
