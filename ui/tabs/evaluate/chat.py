"""Owns the chat of the Evaluate tab: one question, answered with what was learned and by the base model, side by side or one alone.

Invariant: both get the same question and each goes on from its own answers; one model process writes both, taking turns piece by piece,
so that they grow beside each other.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui.errors import show_errors
from ui.markup import markup
from ui.page import Page
from ui.words import heading, small_title

WHO = [("Both side by side", "both"), ("With what it learned", "adapter"), ("Base model, before training", "base")]
SILENT = "(it ended its turn without a word)"


@dataclass(frozen=True)
class Talk:
    """The two chats and the question under them."""

    adapter: gr.Chatbot
    base: gr.Chatbot
    question: gr.Textbox


def chat(page: Page) -> Talk:
    """Draw the chat and wire it."""
    markup(heading("Try it", "Ask as your examples ask: both answer the same question, and you see what the training changed."))
    who = gr.Radio(WHO, value="both", show_label=False, container=False, elem_classes="goals compact")
    with gr.Row(elem_classes="duo"):
        with gr.Column(min_width=210) as left:
            base = _chatbot("Before", "The base model answers here.", "chat-base")
        with gr.Column(min_width=210) as right:
            adapter = _chatbot("After", "Ask a question to see how it answers now.", "chat")
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
    talk = Talk(adapter, base, question)
    _wire(page, talk, who, (left, right))
    return talk


def _chatbot(title: str, placeholder: str, elem_id: str) -> gr.Chatbot:
    markup(small_title(title))
    return gr.Chatbot(
        show_label=False,
        height=320,
        render_markdown=False,
        buttons=["copy"],
        layout="bubble",
        placeholder=placeholder,
        elem_id=elem_id,
        feedback_options=None,
    )


def _wire(page: Page, talk: Talk, who: gr.Radio, sides: tuple[gr.Column, gr.Column]) -> None:
    @show_errors
    def say(asked: str, who: str, base: list[Any], adapter: list[Any]) -> tuple[str, list[Any], list[Any]]:
        if not asked.strip():
            return "", base, adapter
        said = [{"role": "user", "content": asked}]
        return "", base + said if who != "adapter" else base, adapter + said if who != "base" else adapter

    @show_errors
    def answer(run: str, base: list[Any], adapter: list[Any]) -> Iterator[Any]:
        if not run:
            return
        yield from beside(_answered(page, run, base, base=True), _answered(page, run, adapter, base=False))

    asked = [talk.question, who, talk.base, talk.adapter]
    said = talk.question.submit(say, asked, [talk.question, talk.base, talk.adapter], show_progress="hidden")
    said.then(answer, [page.run, talk.base, talk.adapter], [talk.base, talk.adapter], show_progress="minimal")
    who.change(lambda who: [gr.Column(visible=who != side) for side in ("adapter", "base")], who, list(sides), show_progress="hidden")
    page.run.change(lambda: ([], []), None, [talk.base, talk.adapter], show_progress="hidden")


def beside(*sides: Iterator[Any]) -> Iterator[list[Any]]:
    """What all sides yield, as it comes: one update for each side, the newest of those that have one. What one raises is raised at the end,
    so that the other's answer is not lost.
    """
    coming: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
    stopped = threading.Event()

    def listen(which: int, side: Iterator[Any]) -> None:
        try:
            for piece in side:
                coming.put((which, piece))
                if stopped.is_set():  # whoever listened has gone
                    break
            coming.put((which, None))
        except Exception as error:  # noqa: BLE001  raised again where somebody can be told
            coming.put((which, error))

    for which, side in enumerate(sides):
        threading.Thread(target=listen, args=(which, side), daemon=True).start()
    left, failed = len(sides), None
    try:
        while left:
            found = [coming.get()]
            while not coming.empty():
                found.append(coming.get())
            updates = [gr.skip() for _ in sides]
            for which, piece in found:
                if piece is None or isinstance(piece, Exception):
                    left, failed = left - 1, failed or piece
                else:
                    updates[which] = piece
            yield updates
    finally:
        stopped.set()
    if failed is not None:
        raise failed


def _answered(page: Page, run: str, history: list[Any], *, base: bool) -> Iterator[list[Any]]:
    """The history with a growing answer; nothing where its last word is an answer already."""
    if not history or history[-1]["role"] != "user":
        return
    words = ""
    for piece in page.lab.ask(run, [{"role": m["role"], "content": text_of(m)} for m in history], base=base):
        words += piece
        yield [*history, {"role": "assistant", "content": words}]
    yield [*history, {"role": "assistant", "content": words or SILENT}]


def text_of(message: Any) -> str:
    """The plain text of a chat message, in whichever form the chat component keeps it."""
    content = message["content"]
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
