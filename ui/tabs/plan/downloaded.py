"""Owns the fold about downloaded models: how much they take, how much they may take, and making room.

Invariant: nothing is removed without a click, and never the model that is chosen or a folder LoRALab did not download.
"""

from __future__ import annotations

import gradio as gr

from loralab.lab import Lab
from ui.errors import show_errors_at
from ui.markup import markup
from ui.page import Page
from ui.settings import read_settings, remember
from ui.words import count, notice, paragraph, size

GB = 1_000_000_000


def draw_cache(lab: Lab, page: Page) -> None:
    """A fold with the size of the cache, its limit and the clean-up."""
    with gr.Accordion("Downloaded models", open=False, elem_classes="fold"):
        state = markup(cache_html(lab))
        info = "Over it, the models you have not used for longest are removed when you make room. They can be downloaded again."
        limit = gr.Number(read_settings(lab.home).cache_gb, label="May take up to (GB)", info=info, minimum=0, elem_id="cache-limit")
        room = gr.Button("Make room now", scale=0, min_width=180, elem_id="make-room")

    @show_errors_at("cache-limit")
    def keep_limit(chosen: float | None) -> str:
        remember(page.lab.home, {"cache_gb": max(0.0, chosen or 0.0)})
        return cache_html(page.lab)

    @show_errors_at("make-room")
    def make_room(model: str) -> str:
        removed = page.lab.make_room(round(read_settings(page.lab.home).cache_gb * GB), (model,))
        done = f"Removed {', '.join(removed)}." if removed else "Nothing had to be removed."
        return cache_html(page.lab) + notice(done, "", "good")

    limit.change(keep_limit, limit, state, show_progress="hidden")
    room.click(make_room, page.model, state)


def cache_html(lab: Lab) -> str:
    """What downloaded models take now, and a warning when that is over the limit."""
    taken, limit = lab.cache_bytes(), read_settings(lab.home).cache_gb * GB
    here = sum(entry.present and bool(entry.hub_id) for entry in lab.models())
    words = paragraph(
        f"{count(here, 'model')} from the list, {size(taken)} in all. The starter model is part of LoRALab and does not count."
    )
    if taken > limit:
        words += notice(f"That is {size(taken - limit)} over your limit.", "Make room, or allow more.", "warning")
    return words
