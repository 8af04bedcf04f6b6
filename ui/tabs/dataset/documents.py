"""Owns “I have documents”: choose files or a folder, and rows are made of them at once. Invariant: leaving the page ends nothing."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import gradio as gr

from loralab.core.errors import UserError
from loralab.core.paths import room
from ui.errors import show_errors_at
from ui.markup import markup
from ui.page import Page, Updates
from ui.tabs.dataset.outcome import Outcome, at_work, stop_work
from ui.words import heading, paragraph

LEAD = "Every answer is quoted from them and can be looked up. Scans, locked and broken files are named, not guessed at."
ANY = "None"


def documents_panel(page: Page, outcome: Outcome) -> tuple[gr.Column, gr.Dropdown]:
    """Draw it and wire it; hidden until it is chosen. The second is where a field is chosen."""
    domains = [(ANY, ""), *((one.title, one.name) for one in page.lab.domains())]
    with gr.Column(visible=False, elem_classes="card making", elem_id="way-documents") as panel:
        markup(heading("Which documents?", LEAD))
        files = gr.File(label="Documents", file_count="multiple", height=150, elem_id="documents", elem_classes="drop")
        with gr.Row(elem_classes="actions"):
            folder = gr.UploadButton(
                "Choose a whole folder", file_count="directory", size="sm", scale=0, min_width=200, elem_id="documents-folder"
            )
        with gr.Accordion("Licence and field", open=False, elem_classes="fold"), gr.Row(elem_classes="form-grid"):
            licence = gr.Textbox(label="Licence of the documents", info="It stands in every row. Empty: not said.", max_length=80)
            domain = gr.Dropdown(domains, value="", label="Field", info="Adds its words and refuses what it does not want.")
        doing = markup(elem_id="documents-doing")
        stop = gr.Button("Stop", size="sm", scale=0, min_width=120, visible=False, elem_classes="quiet", elem_id="documents-stop")
        markup(paragraph("A thousand pages take some minutes. It goes on when you leave this page.", "fine"))

    @show_errors_at("documents")
    def build(uploaded: str | Sequence[str] | None, licence: str, domain: str) -> Iterator[Updates]:
        """Keep the files, make rows of them, show what came of it."""
        paths = [uploaded] if isinstance(uploaded, str) else list(uploaded or ())
        if not paths:
            return
        run = page.lab.build_data([_kept(page.lab.home, paths)], licence=(licence or "").strip(), domain=domain or "")
        yield from at_work(outcome, run, "Reading", doing, stop)

    told = [doing, stop, *outcome.outputs]
    files.upload(build, [files, licence, domain], told, show_progress="hidden").then(lambda: None, None, files, show_progress="hidden")
    folder.upload(build, [folder, licence, domain], told, show_progress="hidden")
    stop.click(lambda: stop_work(page, "build_data"), None, None, show_progress="hidden")
    return panel, domain


def _kept(home: Path, paths: Sequence[str]) -> Path:
    """The files in a folder of the workspace, under their own names; two of one name are both kept."""
    target = room("datasets", home) / "documents" / secrets.token_hex(4)
    target.mkdir(parents=True)
    for path in map(Path, paths):
        if not path.is_file():
            raise UserError(f"{path.name} did not arrive.", "Choose the documents again.", code="no_file")
        place = target / path.name
        number = 1
        while place.exists():
            number += 1
            place = target / f"{path.stem}-{number}{path.suffix}"
        try:
            os.link(path, place)
        except OSError:
            shutil.copyfile(path, place)
    return target
