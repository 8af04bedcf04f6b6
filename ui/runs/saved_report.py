"""Owns the button that writes a run's report into the workspace and hands it over to the browser.

Invariant: the page that a browser fetches lies in the exports folder, which is the only one that it may read from.
"""

from __future__ import annotations

import re

import gradio as gr

from loralab.core.disk import writing
from loralab.core.paths import room, write_atomic
from ui.errors import show_errors_at
from ui.page import Page
from ui.runs.run_names import run_title


def report_file(name: str) -> gr.DownloadButton:
    """Where the browser fetches it; never seen, and not inside what is hidden at first: Gradio shows all of that when it is shown."""
    return gr.DownloadButton("Report", elem_id=name, visible="hidden", elem_classes="never-seen")


def save_on_click(button: gr.Button, page: Page, file: gr.DownloadButton, place: str) -> None:
    """Make a button save the report under the run's name; `place`: beside what an error is said."""

    @show_errors_at(place)
    def save(run: str) -> str:
        name = re.sub(r"[^\w.-]+", "-", run_title(page.lab, run)).strip("-.") or run
        with writing(page.lab.home):
            path = room("exports", page.lab.home) / "reports" / f"{name}.html"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, page.lab.report_page(run))
        return str(path)

    fetch = f"() => setTimeout(() => document.querySelector('#{file.elem_id}')?.click(), 300)"
    button.click(save, page.run, file, show_progress="hidden").success(None, None, None, js=fetch)
