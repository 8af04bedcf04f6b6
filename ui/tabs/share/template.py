"""Owns the card that saves a run as a template. Invariant: a person's examples go along only where they ticked it."""

from __future__ import annotations

import re

import gradio as gr

from loralab.core.paths import room
from ui.errors import show_errors_at
from ui.markup import markup
from ui.page import Page, Updates
from ui.runs.run_names import run_title
from ui.words import heading, notice, size

LEAD = (
    "Model, settings, and what to expect, in one small file for yourself or somebody else. Dropped on the first page, under “Start from a "
    "template”, it is the plan for other examples of the same kind."
)


def draw_template(page: Page) -> None:
    """Draw the card and wire it."""
    markup(heading("Save it as a template", LEAD))
    data = gr.Checkbox(False, label="Put the examples into it, too", container=False, elem_id="template-data")
    with gr.Row(elem_classes="actions"):
        save = gr.Button("Save as a template", scale=0, min_width=200, elem_id="template-save")
        take = gr.DownloadButton("Download the file", visible=False, scale=0, min_width=160, elem_id="template-take")
    said = markup(elem_id="template-saved")

    @show_errors_at("template-save")
    def write(run: str, with_data: bool) -> Updates:
        name = re.sub(r"[^\w.-]+", "-", run_title(page.lab, run)).strip("-.") or run
        place = page.lab.save_template(run, room("exports", page.lab.home) / "templates" / name, data=with_data)
        told = notice(f"It is here: {place}", f"{size(place.stat().st_size)}, {'with' if with_data else 'without'} the examples.", "good")
        return {said: told, take: gr.DownloadButton(value=str(place), visible=True)}

    save.click(write, [page.run, data], [said, take], show_progress="hidden", trigger_mode="once")
    page.run.change(lambda: ["", gr.DownloadButton(visible=False)], None, [said, take], show_progress="hidden")
