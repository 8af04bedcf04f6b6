"""Owns the section with single examples: the filters and the list under them."""

from __future__ import annotations

import gradio as gr

from loralab.core.events import RunView
from ui.errors import show_errors
from ui.markup import markup
from ui.page import Page, Updates
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

    def listed(run: str, change: str, most: int) -> Updates:
        found = found_of(page.lab, run, page.lab.view(run))
        how, seen = examples_of(found) if found else ("", [])
        return {shown: most, listing: rows_html(seen, how, change, most), more: gr.Button(visible=len(chosen(seen, change)) > most)}

    def fill(_run: str, _view: RunView | None, found: Found | None) -> Updates:
        how, seen = examples_of(found) if found else ("", [])
        samples = found.samples if found else ()
        title = heading("Example by example", MEANS[how]) if seen else heading("The same question, before and after")
        return {
            whole: gr.Column(visible=bool(seen or samples)),
            lead: title,
            change: gr.Radio(choices(seen), value="all", visible=True) if seen else gr.Radio(visible=False),
            listing: rows_html(seen, how, "all", PAGE) if seen else samples_html(samples),
            more: gr.Button(visible=len(seen) > PAGE),
            shown: PAGE,
        }

    outputs = [shown, listing, more]
    change.input(show_errors(lambda run, which: listed(run, which, PAGE)), [page.run, change], outputs, show_progress="hidden")
    further = show_errors(lambda run, which, most: listed(run, which, most + PAGE))
    more.click(further, [page.run, change, shown], outputs, show_progress="hidden")
    return Section([whole, lead, change, *outputs], fill)
