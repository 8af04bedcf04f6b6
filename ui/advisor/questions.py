"""Owns the box in which a person asks: about the current run, about a word or number on the page, or, before the first run, how to begin.

Invariants: the questions offered fit the state of the run; what a language model said in its own words stands in a box that says so; it can
be stopped, and stops when another run is opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from advisor.words.intents import chips
from loralab.core.errors import UserError
from loralab.lab import Lab
from ui.errors import show_errors
from ui.markup import draw, markup
from ui.page import Page
from ui.runs.run_names import run_title

THINKS = "The language model is reading and thinking. Its answer will appear here."
ANYTHING = "Ask the advisor"
BEGINNING = "Ask how to begin, or about any word on the page"
PLANNING = ("dataset", "plan")  # tabs on which the advisor speaks of the plan; on the others of the run
BETWEEN = {"rules": "\n", "model": " "}  # its parts: an answer the rules give is a paragraph, a model's sentences go on


@dataclass(frozen=True)
class Box:
    """What of it says what it is about."""

    question: gr.Textbox
    offered: tuple[gr.Button, ...]

    @property
    def drawn(self) -> list[Any]:
        """What `about` changes."""
        return [self.question, *self.offered]

    def about(self, lab: Lab, tab: str, run: str, dataset: str) -> dict[Any, Any]:
        """It names the run it is about, and offers questions that fit its state; with new examples before one it is about no run."""
        run = run_of(tab, run, dataset)
        fitting = chips(lab.view(run).state if run else "")
        label = f"Ask about “{run_title(lab, run)}”, or any word on the page" if run else BEGINNING if dataset else ANYTHING
        texts = {button: gr.Button(text) for button, text in zip(self.offered, fitting, strict=True)}
        return {self.question: gr.Textbox(label=label, placeholder=fitting[0])} | texts


def run_of(tab: str, run: str, dataset: str) -> str:
    """The run that is asked about: none while a plan for new examples is made."""
    return "" if tab in PLANNING and dataset else run


def question_box(page: Page) -> Box:
    """Draw it, with questions that people ask."""
    first = chips("")
    with gr.Column(elem_classes="asking-box"):
        question = gr.Textbox(label=ANYTHING, placeholder=first[0], elem_id="ask-advisor", max_length=500, submit_btn=True)
        with gr.Row(elem_classes="actions chips"):
            offered = tuple(gr.Button(text, size="sm", scale=0, min_width=60) for text in first)
        answer = markup(elem_id="advice")
        enough = gr.Button("Enough", size="sm", scale=0, min_width=90, visible=False, elem_id="advice-stop")

    @show_errors
    def ask(text: str, tab: str, run: str, dataset: str) -> Iterator[list[Any]]:
        if not text.strip():
            raise UserError("There is no question yet.", "Write one, or press one of those below.", code="no_question")
        if not (run := run_of(tab, run, dataset)):
            yield [_answer_html({"rules": page.advisor.answer_first(text), "model": ""}, ""), gr.Button(visible=False)]
            return
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

    asked, shown = [question, page.tab, page.run, page.dataset], [answer, enough]
    answering: list[Any] = [question.submit(ask, asked, shown, show_progress="hidden")]
    for chip in offered:
        typed = chip.click(lambda text: text, chip, question, show_progress="hidden")
        answering.append(typed.then(ask, asked, shown, show_progress="hidden"))
    enough.click(stop, None, None, show_progress="hidden")
    page.run.change(show_errors(lambda: _left(page)), None, [question, *shown], show_progress="hidden", cancels=answering)
    return Box(question, offered)


def _left(page: Page) -> list[Any]:
    """What it says is about the run that was left."""
    page.advisor.assistant.cancel()
    return ["", "", gr.Button(visible=False)]


def _answer_html(said: dict[str, str], note: str) -> str:
    """The rules' words, then a model's own in a box that says so."""
    paragraphs = [part for part in said["rules"].split("\n") if part.strip()]
    return draw("advisor", "answer", paragraphs, said["model"], note)
