"""Owns the chat of a run's page: one question, answered before and after training (or by two runs), side by side or one alone.

Invariant: both get the same question and each goes on from its own answers; one model process writes both sides of a run, taking turns
piece by piece, so that they grow beside each other.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from loralab.core.errors import LabError
from ui.errors import LOG, show_errors_at
from ui.markup import draw, markup
from ui.page import Page, Updates
from ui.runs.run_names import run_title

WHO = [("Both", "both"), ("Only now", "adapter"), ("Only before", "base")]
SILENT = "(it ended its turn without a word)"
STOPPED = "(stopped)"
LOADING = "Loading the model once…"
Turns = list[dict[str, Any]]


@dataclass(frozen=True)
class Talk:
    """The two chats, the question over them, how they answer, and the other run where two are talked to."""

    whole: gr.Column
    both: gr.Row
    base: gr.Chatbot
    adapter: gr.Chatbot
    names: gr.HTML
    question: gr.Textbox
    who: gr.Radio
    temperature: gr.Slider
    system: gr.Textbox
    against: gr.State

    def with_other(self, name: str, run: str, other: str) -> Updates:
        """Talk to another run beside this one; the chat begins anew."""
        return {self.against: run, self.names: _names(name, other), self.base: [], self.adapter: [], self.both: gr.Row(visible=True)}


def chat(page: Page) -> Talk:
    """Draw the chat and wire it."""
    against = gr.State("")
    with gr.Column(visible=False, elem_classes="card talk", elem_id="talk") as whole:
        names = markup(_names())
        with gr.Row(visible=False, elem_classes="duo") as both:
            with gr.Column(min_width=210) as left:
                base = _chatbot("chat-base")
            with gr.Column(min_width=210) as right:
                adapter = _chatbot("chat")
        question = gr.Textbox(
            show_label=False,
            label="Your question",
            placeholder="Write a question, press Enter",
            container=False,
            elem_id="question",
            lines=1,
            submit_btn="Ask",
            stop_btn=False,
        )
        with gr.Accordion("How it answers", open=False, elem_classes="fold quiet-fold", elem_id="talk-settings"):
            who = gr.Radio(WHO, value="both", label="Who answers", elem_classes="goals compact")
            temperature = gr.Slider(
                0, 1.5, value=0, step=0.1, label="Temperature", info="0 always says the likeliest; higher is more varied."
            )
            system = gr.Textbox("", label="What it is told first", info="A line before every conversation, if you want one.", max_lines=3)
        clear = gr.Button("Clear the conversation", size="sm", scale=0, min_width=170, elem_id="clear-talk", elem_classes="quiet")
    talk = Talk(whole, both, base, adapter, names, question, who, temperature, system, against)
    _wire(page, talk, (left, right), clear)
    return talk


def _names(first: str = "Before", second: str = "Now") -> str:
    return draw("evaluate", "talk_names", first, second)


def _chatbot(elem_id: str) -> gr.Chatbot:
    return gr.Chatbot(
        show_label=False,
        height=280,
        render_markdown=False,
        buttons=["copy"],
        layout="bubble",
        placeholder="It answers here.",
        elem_id=elem_id,
        feedback_options=None,
    )


def _wire(page: Page, talk: Talk, sides: tuple[gr.Column, gr.Column], clear: gr.Button) -> None:
    @show_errors_at("question")
    def say(asked: str, who: str, base: Turns, adapter: Turns) -> list[Any]:
        if not asked.strip():
            return ["", base, adapter, gr.skip()]
        said = [{"role": "user", "content": asked}]
        left, right = (base + said if who != "adapter" else base), (adapter + said if who != "base" else adapter)
        return [gr.Textbox("", stop_btn="Stop", submit_btn=False), left, right, gr.Row(visible=True)]

    @show_errors_at("question")
    def answer(run: str, against: str, temperature: float, system: str, base: Turns, adapter: Turns) -> Iterator[Any]:
        if run:
            how = How(temperature, system.strip())
            left = _answered(page, against or run, base, how, base=not against)
            yield from beside(left, _answered(page, run, adapter, how, base=False))

    def ended() -> gr.Textbox:
        return gr.Textbox(submit_btn="Ask", stop_btn=False)

    def halted(*sides: Turns) -> list[Any]:
        return [ended(), *(_halted(side) for side in sides)]

    asked = [talk.question, talk.who, talk.base, talk.adapter]
    said = talk.question.submit(say, asked, [talk.question, talk.base, talk.adapter, talk.both], show_progress="hidden")
    how = [page.run, talk.against, talk.temperature, talk.system, talk.base, talk.adapter]
    answering = said.then(answer, how, [talk.base, talk.adapter], show_progress="hidden")
    answering.then(ended, None, talk.question, show_progress="hidden")
    both = [talk.base, talk.adapter]
    talk.question.stop(halted, both, [talk.question, *both], cancels=[answering], show_progress="hidden")
    talk.who.change(
        lambda who: [gr.Column(visible=who != side) for side in ("adapter", "base")], talk.who, list(sides), show_progress="hidden"
    )

    def anew() -> list[Any]:
        return [[], [], "", _names(), gr.Row(visible=False)]

    gr.on(
        [clear.click, page.run.change], anew, None, [talk.base, talk.adapter, talk.against, talk.names, talk.both], show_progress="hidden"
    )


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


@dataclass(frozen=True)
class How:
    """How an answer is written."""

    temperature: float = 0.0
    system: str = ""


def _answered(page: Page, run: str, history: Sequence[Any], how: How, *, base: bool) -> Iterator[Turns]:
    """The history with a growing answer; nothing where its last word is an answer already. What goes wrong is said in its place."""
    if not history or history[-1]["role"] != "user":
        return
    yield _with(history, LOADING)
    words = ""
    first = [{"role": "system", "content": how.system}] if how.system else []
    try:
        said = [{"role": m["role"], "content": text} for m in history if (text := text_of(m)) != LOADING]  # a stop may have left that
        for piece in page.lab.ask(run, first + said, base=base, temperature=how.temperature):
            words += piece
            yield _with(history, words)
    except LabError as error:
        LOG.info("chat with %s: %s", run_title(page.lab, run), error)
        words = f"{words}\n\n{error.problem.what} {error.problem.todo}".strip()
    yield _with(history, words or SILENT)


def _halted(history: Sequence[Any]) -> Turns:
    """The history without a word that it is still loading: somebody stopped it."""
    waits = bool(history) and text_of(history[-1]) == LOADING
    return _with(history[:-1], STOPPED) if waits else list(history)


def _with(history: Sequence[Any], words: str) -> Turns:
    return [*history, {"role": "assistant", "content": words}]


def text_of(message: Any) -> str:
    """The plain text of a chat message, in whichever form the chat component keeps it."""
    content = message["content"]
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
