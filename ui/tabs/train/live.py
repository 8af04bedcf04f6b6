"""Owns the live panel: what a run is doing now, in words, numbers and one curve.

Invariant: the panel is drawn once, and empty; the page's own script fills it from the stream (scripts/live.js). An event of Gradio's is
raised only by a person who presses a button.
"""

from __future__ import annotations

import gradio as gr

from loralab.core.errors import UserError
from ui.errors import show_errors_at
from ui.markup import draw, markup
from ui.page import Page
from ui.words import empty, fact, facts, term

NOTHING_YET = "Choose examples on the first page and press Start. You can close the browser while it learns; it goes on."


def live_panel(page: Page) -> None:
    """Draw the panel and wire its buttons."""
    panel = markup(skeleton(), elem_id="live")

    @show_errors_at("live-actions")
    def act(run: str, event: gr.EventData) -> None:
        if event.pick not in ("stop", "resume") or not run:
            raise UserError("There is no run to do this with.", "Choose one at the side.", code="no_run")
        if event.pick == "stop":
            page.lab.stop(run)
        else:
            page.lab.resume(run)

    panel.click(act, page.run, None, show_progress="hidden")


def skeleton() -> str:
    """The panel with nothing in it."""
    tiles = facts(
        fact(term("loss", "Loss while learning"), _place("loss")),
        fact(term("held-out", "Loss on held-out"), _place("held"), _place("held-note")),
        fact("Speed", _place("speed"), _place("speed-note")),
        fact("Memory", _place("memory"), "used by this run"),
        fact(term("learning rate", "Learning rate"), _place("rate"), _place("rate-note")),
        fact(term("gradient", "Gradient size"), _place("pull")),
    )
    return draw("live", "panel", tiles, empty("Nothing is learning yet", NOTHING_YET))


def _place(name: str) -> str:
    return draw("live", "place", name)
