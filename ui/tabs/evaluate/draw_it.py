"""Owns trying a run that learned to draw: words in, a picture before and now out, with a seed and how loud the adapter is.

Invariant: the model draws in a process of its own, never in the app's; what is typed and drawn is not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from loralab.core.errors import LabError, UserError
from ui.errors import show_errors_at
from ui.markup import draw, markup
from ui.page import Page, Updates
from ui.words import notice

DRAWING = "It is drawing. The first time the model is loaded, which takes a moment …"
LOUDEST = 1.5
PATIENTS = "It learned from pictures of patients and may draw one of them again: do not hand its drawings on."
NO_RUN = UserError("There is no model to try.", "Choose a run at the side.", code="no_run")


@dataclass(frozen=True)
class DrawIt:
    """The place for words, and what is drawn of them."""

    whole: gr.Column
    head: gr.HTML

    def updates(self, *, visible: bool, trigger: str, medical: bool) -> Updates:
        """Seen or not; what was drawn stays, since a run is shown anew also when nothing of it changed."""
        warning = notice(PATIENTS, "", "warning") if medical else ""
        return {self.whole: gr.Column(visible=visible), self.head: draw("drawings", "head", trigger, warning)}

    @property
    def outputs(self) -> list[object]:
        return [self.whole, self.head]


def draw_it(page: Page) -> DrawIt:
    """Draw it and wire it."""
    with gr.Column(visible=False, elem_classes="card try-it", elem_id="draw-it") as whole:
        head = markup(draw("drawings", "head", "", ""))
        words = gr.Textbox(label="What should it draw?", placeholder="a red apple", max_lines=2, elem_id="draw-words")
        with gr.Row(elem_classes="form-grid"):
            seed = gr.Number(0, label="Seed", info="Another number, another drawing.", precision=0, minimum=0, elem_id="draw-seed")
            strength = gr.Slider(0, LOUDEST, 1.0, step=0.05, label="How much of your style", info="0 is none, 1 as it learned.")
        with gr.Row(elem_classes="actions"):
            button = gr.Button("Draw", variant="primary", scale=0, min_width=160, elem_id="draw-now")
        said = markup(elem_id="drawn-now")

    @show_errors_at("draw-now")
    def drawing(run: str, asked: str, number: float | None, loud: float) -> Iterator[Any]:
        if not run:
            raise NO_RUN
        yield draw("drawings", "waits", DRAWING)
        try:
            found = page.lab.draw(run, asked or "", int(number or 0), float(loud))
        except LabError:
            yield ""
            raise
        how = f"Both from the same noise, seed {found.seed}. The one before is drawn without the trigger word, which it never learned."
        yield draw("drawings", "tried", *found.shown, found.caption, how)

    asked = [page.run, words, seed, strength]
    gr.on([button.click, words.submit], drawing, asked, said, show_progress="hidden", trigger_mode="once")
    page.run.change(lambda: "", None, said, show_progress="hidden")
    return DrawIt(whole, head)
