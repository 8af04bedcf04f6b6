"""Owns the three ways to examples for who has no file of them: documents, a few examples, writing by hand; and what came of each.

Invariant: one way is open at a time; what was made goes on as any other file once a person says so.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from loralab.core.errors import UserError
from ui.errors import show_errors_at
from ui.markup import draw, markup
from ui.page import Page, Updates
from ui.tabs.dataset.by_hand import by_hand_panel
from ui.tabs.dataset.documents import documents_panel
from ui.tabs.dataset.few import few_panel
from ui.tabs.dataset.outcome import outcome_panel
from ui.tabs.dataset.templates import Fields

_QUOTED = "PDFs, Word files, web pages, e-books, tables: questions and answers are quoted from them, here, without the network."
_WRITTEN = "A language model of yours writes more like them. Every row is checked and says who wrote it."
WAYS = {
    "documents": ("I have documents", _QUOTED),
    "few": ("I have a few examples", _WRITTEN),
    "by_hand": ("Write some by hand", "Question, answer, next. Or paste two columns from a spreadsheet."),
}


def making_box(page: Page) -> Fields:
    """Draw it and wire it; what opens the documents with the words of a field."""
    cards = markup(draw("making", "ways", WAYS, ""), elem_id="making-ways")
    outcome = outcome_panel(page)
    documents, domain = documents_panel(page, outcome)
    panels = {"documents": documents, "few": few_panel(page, outcome), "by_hand": by_hand_panel(page, outcome)}
    outcome.draw()

    @show_errors_at("making-ways")
    def choose(event: gr.EventData) -> Updates:
        """Open a way; the open one closes."""
        way = str(event.pick)
        if way.removeprefix("-") not in WAYS:
            raise UserError("There is no such way.", "Choose one of the cards.", code="no_way")
        return opened(way)

    def opened(way: str) -> Updates:
        shown: dict[Any, Any] = {panel: gr.Column(visible=name == way) for name, panel in panels.items()}
        return {**shown, cards: draw("making", "ways", WAYS, way)}

    cards.click(choose, None, [cards, *panels.values()], show_progress="hidden")
    return Fields(lambda field: {domain: field, **opened("documents")}, [domain, cards, *panels.values()])
