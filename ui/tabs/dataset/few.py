"""Owns “I have a few examples”: which examples, which writer, its terms and what it takes, and only then the writing.

Invariant: nothing is asked of a writer before a person has read its terms and said yes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from loralab.core.errors import UserError
from loralab.core.words import count
from loralab.lab import FORMS, Writer
from ui.asking import Question, question
from ui.errors import show_errors_at
from ui.markup import markup
from ui.page import Page, Updates
from ui.tabs.dataset.outcome import Outcome, at_work, stop_work
from ui.tabs.dataset.vary import vary_fold
from ui.words import heading, notice

KINDS = [
    ("A program here or elsewhere (Ollama, LM Studio, llama.cpp)", "endpoint"),
    ("A .gguf file on this computer", "gguf"),
    ("A model from the list", "model"),
]
FORM_WORDS = {
    "more": "New questions like these",
    "paraphrase": "The same in other words", "reverse": "The question to an answer",
    "harder": "Harder questions",
    "shorter": "Shorter answers", "tone": "Another tone", "language": "Another language", "from_passage": "Questions to your documents",
    "balance": "More of what is rare", "negatives": "Easily confused",
}  # fmt: skip
LEAD = "Ten to fifty good ones of your own are the best start. What is written is marked, checked, and never used to test."
STRONG = "Small models write little that passes the checks; from about three billion weights on it pays."


def few_panel(page: Page, outcome: Outcome) -> gr.Column:
    """Draw it and wire it; hidden until it is chosen."""
    models = [(entry.title, entry.name) for entry in page.lab.models() if entry.present]
    with gr.Column(visible=False, elem_classes="card making", elem_id="way-few") as panel:
        markup(heading("Which examples, and who writes?", LEAD))
        seeds = gr.File(label="Your examples", file_count="single", height=150, elem_id="seeds", elem_classes="drop")
        kind = gr.Radio(KINDS, value="endpoint", label="Who writes", elem_id="writer-kind", elem_classes="goals compact")
        with gr.Row(elem_classes="form-grid"):
            url = gr.Textbox("http://127.0.0.1:11434/v1", label="Its address", info="It speaks as OpenAI’s does.", elem_id="writer-url")
            name = gr.Textbox(label="The model, as it calls it", placeholder="qwen3:8b", elem_id="writer-name")
            file = gr.Textbox(label="Where the file lies", visible=False, elem_id="writer-file")
            model = gr.Dropdown(models, value="starter", label="Model", info=STRONG, visible=False, elem_id="writer-model")
            rows = gr.Number(100, label="Rows wanted", precision=0, minimum=1, maximum=20_000, elem_id="writer-rows")
        with gr.Accordion("In which way", open=False, elem_classes="fold"):
            forms = gr.CheckboxGroup(
                [(FORM_WORDS[form], form) for form in FORMS], label="Left empty: those that fit your examples", elem_id="forms"
            )
            language = gr.Textbox(label="Into which language", info="For “Another language”.", max_length=40)
        look = gr.Button("Look at the terms", variant="primary", scale=0, min_width=200, elem_id="writer-terms")
        asking = question("Ask it to write", "Not now", name="writer")
        doing = markup(elem_id="writer-doing")
        stop = gr.Button("Stop", size="sm", scale=0, min_width=120, visible=False, elem_classes="quiet", elem_id="writer-stop")
        vary_fold(page, outcome, seeds)
    kind.change(_fields, kind, [url, name, file, model], show_progress="hidden")
    _wire(page, outcome, [seeds, outcome.file, kind, url, name, file, model, rows, forms, language], look, asking, (doing, stop))
    return panel


def _fields(kind: str) -> list[Any]:
    """What is asked of a writer of this kind."""
    return [
        gr.Textbox(visible=kind == "endpoint"),
        gr.Textbox(visible=kind == "endpoint"),
        gr.Textbox(visible=kind == "gguf"),
        gr.Dropdown(visible=kind == "model"),
    ]


def _wire(page: Page, outcome: Outcome, meant: list[Any], look: gr.Button, asking: Question, work: tuple[gr.HTML, gr.Button]) -> None:
    doing, stop = work

    @show_errors_at("writer-terms")
    def terms(*meant: Any) -> Updates:
        """What a person has to know first: the writer's licence, whether words leave, what it takes."""
        source, writer, rows, more = _meant(page, *meant)
        known, cost = page.lab.writer_terms(writer), page.lab.writing_cost(source, rows, more["forms"])
        if not cost.rows:
            todo = "Add examples of your own first."
            raise UserError("There are as many written rows as your own examples allow.", todo, code="too_many_written")
        ways = ", ".join(FORM_WORDS[form].lower() for form in cost.forms)
        said = f"At most {count(cost.rows, 'row')}: {ways}. About {count(cost.calls, 'question')} to it, {count(cost.tokens, 'token')}."
        return asking.ask(notice(known.words, said, "warning" if known.leaves else "info"))

    @show_errors_at("writer-terms")
    def write(*meant: Any) -> Iterator[Updates]:
        source, writer, rows, more = _meant(page, *meant)
        run = page.lab.synthesize(source, writer, rows=rows, **more)
        yield {asking.column: asking.hide()}
        yield from at_work(outcome, run, "Writing", doing, stop)

    look.click(terms, meant, [asking.column, asking.words], show_progress="hidden")
    asking.yes.click(write, meant, [doing, stop, asking.column, *outcome.outputs], show_progress="hidden", trigger_mode="once")
    stop.click(lambda: stop_work(page, "synthesize"), None, None, show_progress="hidden")


def _meant(page: Page, *meant: Any) -> tuple[str, Writer, int, dict[str, Any]]:
    """The examples, the writer, how many rows, and the rest. Raises UserError where something is missing."""
    seeds, made, kind, url, name, file, model, rows, forms, language = meant
    source = page.desk.keep(seeds) if seeds else made
    if not source:
        raise UserError("There are no examples yet.", "Drop a file with a few, or build some from documents first.", code="no_seeds")
    called = {"endpoint": name, "gguf": str(Path(file).expanduser()) if file else "", "model": model}[kind].strip()
    if not called:
        raise UserError("It is not said which model is to write.", "Fill in its name.", code="no_model")
    writer = Writer(kind=kind, name=called, url=url.strip() if kind == "endpoint" else "")
    return source, writer, int(rows or 100), {"forms": tuple(forms or ()), "language": (language or "").strip()}
