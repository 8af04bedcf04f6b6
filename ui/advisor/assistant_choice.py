"""The choice of who answers questions: the rules alone, a model file that is here, or one that can be fetched.

Invariant: nothing is fetched before its size was told and a person said yes; without a model everything else works the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from advisor.assistant import models, offers
from loralab.core.errors import UserError
from loralab.core.words import size
from ui.asking import question
from ui.errors import show_errors
from ui.markup import markup
from ui.page import Page
from ui.runs.work import follow
from ui.words import heading, notice

NOBODY = ""  # the rules alone
LEAD = (
    "The advisor works by rules and needs no language model. With one on this computer it also understands questions the rules do not: "
    "it picks the answer that fits, or answers in its own words. Those are marked, and may use no number the run did not measure."
)


def assistant_choice(page: Page) -> gr.Dropdown:
    """Draw it; the choice of who speaks."""
    with gr.Column(elem_classes="card"):
        markup(heading("Who answers your questions", LEAD))
        (choices, speaks), info = _here(page), "Or type the path of a .gguf file."
        who = gr.Dropdown(choices, value=speaks, label="Answers", info=info, allow_custom_value=True, elem_id="who-speaks")
        with gr.Row(elem_classes="actions"):
            fetch = [
                gr.Button(f"Fetch {one.words.rstrip('.')} ({size(one.bytes)}) …", size="sm", scale=0, min_width=200)
                for one in offers.OFFERS
            ]
        asking = question("Yes, fetch it", "Not now")
        said, wanted = markup(), gr.State("")

    @show_errors
    def choose(path: str | None) -> Any:
        same = (path or NOBODY) == _here(page)[1]  # the choice is set anew whenever the page is opened
        return gr.skip() if same else _choose(page, path or NOBODY)

    @show_errors
    def download(name: str) -> Iterator[str]:
        one = offers.offer(name)
        if one is None:
            raise UserError("There is no such model to fetch.", "Choose one of those above.", code="unknown_model")
        yield from follow(page.lab, offers.fetch(page.lab, one), "Fetching")

    who.input(choose, who, said, show_progress="hidden")
    for button, one in zip(fetch, offers.OFFERS, strict=True):
        ask = show_errors(lambda one=one: {**asking.ask(notice(offers.question(page.lab, one))), wanted: one.name})
        button.click(ask, None, [asking.column, asking.words, wanted])
    begun = asking.yes.click(asking.hide, None, asking.column, show_progress="hidden")
    begun.then(download, wanted, said, show_progress="hidden").then(
        show_errors(lambda: _refreshed(page)), None, who, show_progress="hidden"
    )
    return who


def _here(page: Page) -> tuple[list[tuple[str, str]], str]:
    """The choices, and which of them speaks now."""
    speaks = models.chosen(page.lab.home)
    return [("The rules alone", NOBODY), *((one.words, str(one.path)) for one in models.local_models(page.lab.home))], str(speaks or NOBODY)


def choices_now(page: Page) -> Any:
    """The choices as they are now."""
    choices, speaks = _here(page)
    return gr.Dropdown(choices=choices, value=speaks)


def _refreshed(page: Page) -> Any:
    page.advisor.reload_assistant()
    return choices_now(page)


def _choose(page: Page, path: str) -> str:
    picked = models.pick(page.lab.home, Path(path).expanduser() if path else None)
    page.advisor.reload_assistant()
    if picked is None:
        return notice("The rules answer alone.", kind="good")
    return notice(f"Answering from now on: {picked.name}.", "It is loaded with your next question.", "good")
