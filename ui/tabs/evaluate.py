"""Owns the fourth tab: did it get better, what does it answer now, and a chat to try it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from loralab.lab import Lab
from ui.errors import told
from ui.evaluate_view import NOT_YET, samples_html, verdict_html
from ui.markup import markup
from ui.page import Page
from ui.words import heading
from ui.work import follow

WHO = [("With what it learned", "adapter"), ("Base model, before training", "base")]


def build(lab: Lab, page: Page) -> None:
    """Draw the tab and wire it."""
    markup(heading("Did it get better?", "Tested on examples it never saw, once without and once with what it learned."))
    verdict = markup(NOT_YET, elem_id="verdict")
    with gr.Row(visible=False, elem_classes="actions") as more:
        measure = gr.Button("Measure again", scale=0, min_width=170, elem_classes="quiet")
    measuring = markup()
    answers = markup(elem_id="answers")
    with gr.Column(visible=False, elem_classes="card talk") as talk:
        chat = _chat(page)
    _wire(
        page, {"verdict": verdict, "more": more, "measure": measure, "measuring": measuring, "answers": answers, "talk": talk, "chat": chat}
    )


def _chat(page: Page) -> gr.Chatbot:
    markup(heading("Try it", "Ask as your examples ask. Switch between before and after to compare."))
    who = gr.Radio(WHO, value="adapter", show_label=False, container=False, elem_classes="goals compact")
    chat = gr.Chatbot(
        show_label=False,
        height=320,
        render_markdown=False,
        buttons=["copy"],
        layout="bubble",
        placeholder="Ask a question to see how it answers now.",
        elem_id="chat",
        feedback_options=None,
    )
    with gr.Row(elem_classes="ask"):
        question = gr.Textbox(
            show_label=False,
            placeholder="Write a question and press Enter",
            container=False,
            scale=1,
            elem_id="question",
            lines=1,
            submit_btn=True,
        )

    @told
    def say(asked: str, history: list[Any]) -> tuple[str, list[Any]]:
        if not asked.strip():
            return "", history
        return "", [*history, {"role": "user", "content": asked}]

    @told
    def answer(run: str, who: str, history: list[Any]) -> Iterator[Any]:
        if not run or not history or history[-1]["role"] != "user":
            return
        said = ""
        for piece in page.lab.ask(run, [{"role": m["role"], "content": text_of(m)} for m in history], base=who == "base"):
            said += piece
            yield [*history, {"role": "assistant", "content": said}]
        yield [*history, {"role": "assistant", "content": said or "(it ended its turn without a word)"}]

    question.submit(say, [question, chat], [question, chat], show_progress="hidden").then(
        answer, [page.run, who, chat], chat, show_progress="minimal"
    )
    who.change(list, None, chat)
    return chat


def text_of(message: Any) -> str:
    """The plain text of a chat message, in whichever form the chat component keeps it."""
    content = message["content"]
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))


def _wire(page: Page, parts: dict[str, Any]) -> None:
    @told
    def show(run: str) -> list[Any]:
        view = page.lab.view(run) if run else None
        ready = bool(view and view.adapter and not view.active)
        return [verdict_html(view), gr.Row(visible=ready), samples_html(view.samples if view else ()), gr.Column(visible=ready)]

    @told
    def measure(run: str) -> Iterator[Any]:
        work = page.lab.evaluate(run)
        for line in follow(page.lab, work, "Measuring"):
            yield line, gr.skip(), gr.skip()
        view = page.lab.view(work)
        yield "", verdict_html(view), samples_html(view.samples) if view.samples else gr.skip()

    out = [parts["verdict"], parts["more"], parts["answers"], parts["talk"]]
    page.moment.change(show, page.run, out, show_progress="hidden")
    page.run.change(list, None, parts["chat"], show_progress="hidden")
    parts["measure"].click(measure, page.run, [parts["measuring"], parts["verdict"], parts["answers"]], show_progress="hidden")
