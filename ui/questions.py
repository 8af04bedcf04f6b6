"""Owns the box in which a person asks about the current run. Invariant: what a language model said is marked as its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from loralab.errors import UserError
from ui.errors import told
from ui.markup import markup
from ui.page import Page, run_title
from ui.words import esc

ASK = ("Why did it stop?", "Did it get better?", "What should I do next?")


def question_box(page: Page) -> None:
    """Draw it, with three questions that people ask."""
    with gr.Column(elem_classes="asking-box", visible=False) as box:  # there is nothing to ask about before the first run
        question = gr.Textbox(label="Ask about this run", placeholder=ASK[0], elem_id="ask-advisor", max_length=500, submit_btn=True)
        with gr.Row(elem_classes="actions chips"):
            chips = [gr.Button(text, size="sm", scale=0, min_width=60) for text in ASK]
        answer = markup(elem_id="advice")

    @told
    def ask(text: str, run: str) -> Iterator[str]:
        if not text.strip():
            raise UserError("There is no question.", f"Write one, such as “{ASK[0]}”", code="no_question")
        if not run:
            raise UserError("There is no run to ask about yet.", "Start one, or choose one at the side.", code="no_run")
        said = {"rules": "", "model": ""}
        note = ""
        for piece in page.advisor.answer(run, text):
            said[piece.made_by] += piece.text
            note = piece.note or note
            yield _answer_html(said, note)

    question.submit(ask, [question, page.run], answer, show_progress="hidden")
    for chip, text in zip(chips, ASK, strict=True):
        chip.click(lambda text=text: text, None, question, show_progress="hidden").then(
            ask, [question, page.run], answer, show_progress="hidden"
        )
    page.run.change(told(lambda run: _about(page, run)), page.run, [box, question, answer], show_progress="hidden")


def _about(page: Page, run: str) -> list[Any]:
    """The box names the run it is about: on the first pages something else is in sight."""
    label = f"Ask about “{run_title(page.lab, run)}”" if run else ""
    return [gr.Column(visible=bool(run)), gr.Textbox(label=label, value=""), ""]


def _answer_html(said: dict[str, str], note: str) -> str:
    """The rules' words, then a model's own, marked as such."""
    paragraphs = "".join(f"<p>{esc(part)}</p>" for part in said["rules"].split("\n") if part.strip())
    model = (
        f'<div class="of-model"><span class="pill quiet">in a model’s words</span><p>{esc(said["model"])}</p></div>'
        if said["model"]
        else ""
    )
    why = f'<p class="fine">{esc(note)}</p>' if note else ""
    return f'<div class="advice" aria-live="polite">{paragraphs}{model}{why}</div>'
