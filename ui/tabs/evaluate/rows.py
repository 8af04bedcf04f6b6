"""Owns the section with single examples: the filters and the list under them."""

from __future__ import annotations

from typing import Any

import gradio as gr

from loralab.core.events import RunView
from ui.errors import told
from ui.markup import markup
from ui.page import Page
from ui.tabs.evaluate.judged import Found, examples_of, found_of
from ui.tabs.evaluate.rows_view import MEANS, PAGE, choices, chosen, rows_html, samples_html
from ui.tabs.evaluate.section import Section
from ui.words import heading


def rows_section(page: Page) -> Section:
    """Draw the filters and the examples, and wire them."""
    shown = gr.State(PAGE)
    with gr.Column(visible=False) as whole:
        lead = markup(heading("Example by example"))
        change = gr.Radio([("All", "all")], value="all", show_label=False, container=False, elem_id="changes", elem_classes="goals compact")
        listing = markup(elem_id="answers")
        more = gr.Button("Show more", scale=0, min_width=160, elem_classes="quiet", visible=False)

    @told
    def filtered(run: str, change: str) -> list[Any]:
        return [PAGE, *_listed(page, run, change, PAGE)]

    @told
    def further(run: str, change: str, most: int) -> list[Any]:
        return [most + PAGE, *_listed(page, run, change, most + PAGE)]

    change.input(filtered, [page.run, change], [shown, listing, more], show_progress="hidden")
    more.click(further, [page.run, change, shown], [shown, listing, more], show_progress="hidden")
    return Section([whole, lead, change, listing, more, shown], _fill)


def _fill(_run: str, _view: RunView | None, found: Found | None) -> list[Any]:
    how, seen = examples_of(found) if found else ("", [])
    samples = found.samples if found else ()
    if not seen:
        title = heading("The same question, before and after")
        return [gr.Column(visible=bool(samples)), title, gr.Radio(visible=False), samples_html(samples), gr.Button(visible=False), PAGE]
    left = len(seen) > PAGE
    return [
        gr.Column(visible=True),
        heading("Example by example", MEANS[how]),
        gr.Radio(choices(seen), value="all", visible=True),
        rows_html(seen, how, "all", PAGE),
        gr.Button(visible=left),
        PAGE,
    ]


def _listed(page: Page, run: str, change: str, most: int) -> list[Any]:
    """The list with `most` examples, and whether there are more of them."""
    found = found_of(page.lab, run, page.lab.view(run))
    how, seen = examples_of(found) if found else ("", [])
    return [rows_html(seen, how, change, most), gr.Button(visible=len(chosen(seen, change)) > most)]
