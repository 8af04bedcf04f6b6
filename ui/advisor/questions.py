"""Owns the box in which a person asks about the current run.

Invariants: what a language model said in its own words stands in a box that says so; it can be
stopped, and stops when another run is opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from loralab.core.errors import UserError
from ui.errors import show_errors
from ui.markup import draw, markup
from ui.page import Page
from ui.runs.run_names import run_title

THINKS = "The language model is reading and thinking. What it can say comes here."
BETWEEN = {"rules": "\n", "model": " "}  # its parts: an answer the rules give is a paragraph, a model's sentences go on
ASK = ("Why did it stop?", "Did it get better?", "What should I do next?", "Tell me the whole story")


def question_box(page: Page) -> None:
    """Draw it, with questions that people ask."""
    with gr.Column(elem_classes="asking-box", visible=False) as box:  # there is nothing to ask about before the first run
        question = gr.Textbox(label="Ask about this run", placeholder=ASK[0], elem_id="ask-advisor", max_length=500, submit_btn=True)
        with gr.Row(elem_classes="actions chips"):
            chips = [gr.Button(text, size="sm", scale=0, min_width=60) for text in ASK]
        answer = markup(elem_id="advice")
        enough = gr.Button("Enough", size="sm", scale=0, min_width=90, visible=False, elem_id="advice-stop")

    @show_errors
    def ask(text: str, run: str) -> Iterator[list[Any]]:
        if not text.strip():
            raise UserError("There is no question.", f"Write one, such as “{ASK[0]}”", code="no_question")
        if not run:
            raise UserError("There is no run to ask about yet.", "Start one, or choose one at the side.", code="no_run")
        said = {"rules": "", "model": ""}
        note, thinks = "", page.advisor.assistant.asks_model(text)
        for part in page.advisor.answer(run, text):
            said[part.made_by] = f"{said[part.made_by]}{BETWEEN[part.made_by]}{part.text}".strip()
            note = part.note or note
            yield [_answer_html(said, note or (THINKS if thinks else "")), gr.Button(visible=thinks)]
        yield [_answer_html(said, note), gr.Button(visible=False)]

    @show_errors
    def stop() -> None:
        page.advisor.assistant.cancel()  # the one that answers now: it may have been changed

    asked, shown = [question, page.run], [answer, enough]
    answering: list[Any] = [question.submit(ask, asked, shown, show_progress="hidden")]
    for chip, text in zip(chips, ASK, strict=True):
        typed = chip.click(lambda text=text: text, None, question, show_progress="hidden")
        answering.append(typed.then(ask, asked, shown, show_progress="hidden"))
    enough.click(stop, None, None, show_progress="hidden")
    page.run.change(
        show_errors(lambda run: _about(page, run)), page.run, [box, question, *shown], show_progress="hidden", cancels=answering
    )


def _about(page: Page, run: str) -> list[Any]:
    """The box names the run it is about: on the first pages something else is in sight."""
    page.advisor.assistant.cancel()  # what it says is about the run that was left
    label = f"Ask about “{run_title(page.lab, run)}”" if run else ""
    return [gr.Column(visible=bool(run)), gr.Textbox(label=label, value=""), "", gr.Button(visible=False)]


def _answer_html(said: dict[str, str], note: str) -> str:
    """The rules' words, then a model's own in a box that says so."""
    paragraphs = [part for part in said["rules"].split("\n") if part.strip()]
    return draw("advisor", "answer", paragraphs, said["model"], note)
