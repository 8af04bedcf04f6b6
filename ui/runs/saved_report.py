"""Buttons that write a run's report into the workspace and hand it over to the browser.

Invariant: the page that a browser fetches lies in the exports folder, which is the only one that it may read from.
"""

from __future__ import annotations

import gradio as gr

from loralab.core.disk import writing
from loralab.core.paths import room, write_atomic
from ui.errors import show_errors
from ui.page import Page

ENDINGS = {"html": "html", "markdown": "md"}


def report_file(name: str) -> gr.DownloadButton:
    """Where the browser fetches it; not inside what is hidden at first, because Gradio shows all of that when it is shown."""
    return gr.DownloadButton("Report", elem_id=name, visible="hidden")


def save_on_click(button: gr.Button, page: Page, file: gr.DownloadButton, kind: str = "html") -> None:
    """Make a button save the report, as `html` or `markdown`."""

    @show_errors
    def save(run: str) -> str:
        with writing(page.lab.home):
            path = room("exports", page.lab.home) / "reports" / f"{run}.{ENDINGS[kind]}"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, page.lab.report_page(run, kind))
        return str(path)

    fetch = f"() => setTimeout(() => document.querySelector('#{file.elem_id}')?.click(), 300)"
    button.click(save, page.run, file, show_progress="hidden").success(None, None, None, js=fetch)
