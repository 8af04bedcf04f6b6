"""Owns “without a language model”: the same questions as other people would type them. Invariant: nothing is varied that was not ticked."""

from __future__ import annotations

import gradio as gr

from loralab.core.errors import UserError
from loralab.lab import AUGMENTATIONS
from ui.errors import show_errors_at
from ui.page import Page, Updates
from ui.tabs.dataset.outcome import Outcome

WAYS = {
    "typos": "Slips of the finger",
    "casing": "Small and capital letters",
    "punctuation": "Other or no punctuation",
    "synonyms": "Words your rows use for each other",
    "question_forms": "The question put in another way",
}
INFO = "No model is asked and no answer is touched. It helps where people type carelessly; “Do the made rows help?” tells."


def vary_fold(page: Page, outcome: Outcome, seeds: gr.File) -> None:
    """Draw it and wire it: for the examples above, or the file that was made last."""
    with gr.Accordion("Without a language model", open=False, elem_classes="fold", elem_id="vary-fold"):
        ways = gr.CheckboxGroup(
            [(WAYS[way], way) for way in AUGMENTATIONS], label="The same questions, typed as others would", info=INFO, elem_id="vary"
        )
        make = gr.Button("Add these rows", scale=0, min_width=160, elem_id="vary-go")

    @show_errors_at("vary-go")
    def vary(given: str | None, made: str, chosen: list[str]) -> Updates:
        source = page.desk.keep(given) if given else made
        if not source:
            raise UserError(
                "There are no examples yet.", "Drop a file with a few above, or build some from documents first.", code="no_seeds"
            )
        if not chosen:
            raise UserError("Nothing is ticked.", "Tick what may differ, then press again.", code="no_ways")
        return outcome.shown(str(page.lab.vary(source, chosen)))

    make.click(vary, [seeds, outcome.file, ways], outcome.outputs, show_progress="hidden")
