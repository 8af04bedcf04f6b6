"""Owns trying a run's model on a picture that is dropped, pasted or taken with the camera.

Invariants: the model looks in a process of its own, never in the app's; what was dropped is deleted once it was looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from loralab.core.errors import LabError, UserError
from loralab.lab import NOT_MEDICAL
from ui.errors import show_errors_at
from ui.markup import draw, markup
from ui.page import Page, Updates
from ui.words import notice

LOOKING = "It is looking. The first time the model is loaded, which takes a moment …"
NO_RUN = UserError("There is no model to try.", "Choose a run at the side.", code="no_run")


@dataclass(frozen=True)
class TryIt:
    """The place for a picture, and what is said of it."""

    whole: gr.Column
    head: gr.HTML
    picture: gr.Image
    clinic: gr.UploadButton
    said: gr.HTML

    def updates(self, *, visible: bool, medical: bool) -> Updates:
        """Seen or not; what was said stays, since a run is drawn anew also when nothing of it changed."""
        warning = notice(NOT_MEDICAL, "", "warning") if medical else ""
        return {
            self.whole: gr.Column(visible=visible),
            self.head: draw("pictures", "try_head", warning),
            self.clinic: gr.UploadButton(visible=medical),
        }

    @property
    def outputs(self) -> list[object]:
        return [self.whole, self.head, self.clinic]


def _clinic_button() -> gr.UploadButton:
    """Where a file is chosen that no browser shows."""
    return gr.UploadButton(
        "Choose a file of the clinic (DICOM)", size="sm", scale=0, min_width=260, visible=False, elem_id="try-clinic", elem_classes="quiet"
    )


def try_it(page: Page) -> TryIt:
    """Draw it and wire it."""
    with gr.Column(visible=False, elem_classes="card try-it", elem_id="try-it") as whole:
        head = markup(draw("pictures", "try_head", ""))
        picture = gr.Image(
            type="filepath",
            image_mode=None,
            sources=["upload", "webcam", "clipboard"],
            label="A picture",
            show_label=False,
            height=200,
            buttons=[],
            placeholder="Drop a picture here, or click to choose one",
            elem_id="try-picture",
            elem_classes="drop",
        )
        clinic = _clinic_button()
        said = markup(elem_id="tried")
    found = TryIt(whole, head, picture, clinic, said)

    @show_errors_at("try-picture")
    def look(run: str, dropped: str | None) -> Iterator[Any]:
        if not dropped:
            yield gr.skip()
            return
        if not run:
            raise NO_RUN
        yield draw("pictures", "trying", LOOKING)
        try:
            looked = page.lab.look(run, Path(dropped))
        except LabError:
            yield ""
            raise
        warning = notice(NOT_MEDICAL, "", "warning") if looked.medical else ""
        yield draw("pictures", "tried", looked, looked.key, warning)

    def forget(dropped: str | None) -> None:
        """Empty the place for the next one. Not before it was looked at: until then the page shows what was dropped."""
        if dropped:
            Path(dropped).unlink(missing_ok=True)

    taken = picture.input(look, [page.run, picture], said, show_progress="hidden")
    taken.then(forget, picture, picture, show_progress="hidden")
    shown = clinic.upload(look, [page.run, clinic], said, show_progress="hidden")
    shown.then(forget, clinic, clinic, show_progress="hidden")
    page.run.change(lambda: "", None, said, show_progress="hidden")
    return found
