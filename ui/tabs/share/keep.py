"""Owns the card that keeps a whole run in one file, for another computer or for later.

Invariant: the file lies in the exports folder, whole, before the browser is told of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import gradio as gr

from loralab.core.paths import room
from ui.errors import show_errors_at
from ui.markup import markup
from ui.page import Page, Updates
from ui.runs.run_names import run_title
from ui.tabs.share.doing import Doings, Note
from ui.words import heading, notice, size

LEAD = (
    "Adapter, plan, verdict, curves and answers in one file. Opened on another computer, under “Import an adapter from elsewhere”, it is "
    "this very run again. The answers quote some of your examples: keep it for yourself, or for somebody who may see them."
)
DATA = "Put the examples into it, too"


def draw_keep(page: Page) -> None:
    """Draw the card and wire it."""
    markup(heading("Keep everything", LEAD))
    data = gr.Checkbox(False, label=DATA, container=False, elem_id="keep-data")
    with gr.Row(elem_classes="actions"):
        keep = gr.Button("Keep everything in one file", scale=0, min_width=230, elem_id="keep-all")
        stop = gr.Button("Cancel", scale=0, min_width=110, visible=False)
        take = gr.DownloadButton("Download the file", visible=False, scale=0, min_width=160, elem_id="keep-take")
    doing = markup(elem_id="keeping")
    doings = Doings()

    @show_errors_at("keep-all")
    def pack(run: str, with_data: bool, request: gr.Request) -> Iterator[Updates]:
        name = re.sub(r"[^\w.-]+", "-", run_title(page.lab, run)).strip("-.") or run
        place = room("exports", page.lab.home) / "kept" / f"{name}.zip"
        place.parent.mkdir(parents=True, exist_ok=True)

        def work(note: Note) -> None:
            page.lab.keep(run, place, data=with_data, note=note)

        idle: Updates = {keep: gr.Button(interactive=True), stop: gr.Button(visible=False), doing: ""}
        yield {keep: gr.Button(interactive=False), stop: gr.Button(visible=True), take: gr.DownloadButton(visible=False)}
        try:
            for line in doings.follow(request.session_hash, "Packing", work):
                yield {doing: line}
        except Exception:
            yield idle
            raise
        said = notice(f"It is here: {place}", f"{size(place.stat().st_size)}. Put it on a stick, or send it to yourself.", "good")
        yield {**idle, doing: said, take: gr.DownloadButton(value=str(place), visible=True)}

    def end(request: gr.Request) -> None:
        doings.stop(request.session_hash)

    def another() -> list[Any]:
        return ["", gr.DownloadButton(visible=False)]

    keep.click(pack, [page.run, data], [keep, stop, take, doing], show_progress="hidden", trigger_mode="once")
    stop.click(end, None, None, show_progress="hidden")
    page.run.change(another, None, [doing, take], show_progress="hidden")
