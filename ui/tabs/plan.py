"""Owns the second tab: which model learns, whether it fits, and every setting with its reason.

Invariant: nothing here must be touched before Start.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from loralab.lab import Lab
from loralab.records import Proposal
from ui.cache import draw_cache
from ui.charts import memory_bar
from ui.errors import told
from ui.form import draw, fill, read
from ui.markup import markup
from ui.page import Page, start_on_click
from ui.plan_view import can_download, download_question, fit_html, model_html
from ui.settings import remember
from ui.words import empty, heading
from ui.work import follow

EMPTY = empty("No examples yet", "Choose a file or a sample on the first page. The plan is made for them and for this computer.")


def build(lab: Lab, page: Page) -> None:
    """Draw the tab and wire it."""
    markup(heading("The plan", "Made for your examples and this computer. Change what you like; everything has a sensible value."))
    with gr.Column(elem_classes="card"):
        page.model.render()
        check = lab.check_model(str(page.model.value))
        about = markup(model_html(check), elem_id="about-model")
        with gr.Row(visible=can_download(check), elem_classes="actions") as offer:
            want = gr.Button("Download this model …", scale=0, min_width=250)
        with gr.Column(visible=False, elem_classes="asking") as asking:
            question = markup()
            with gr.Row(elem_classes="actions"):
                fetch = gr.Button("Yes, download it", variant="primary", scale=0, min_width=180)
                no = gr.Button("Not now", scale=0, min_width=120)
        fetching = markup()
        draw_cache(lab, page)
    fit = markup(EMPTY, elem_id="fit")
    with gr.Column(elem_classes="card settings"):
        markup(heading("Settings", "Folded away because they are chosen for you. Each says what it does and why it has its value."))
        draw(page.form)
    with gr.Row(elem_classes="actions"):
        start = gr.Button("Start", variant="primary", scale=0, min_width=200, elem_id="start-plan")
    start_on_click(start, page)
    _wire(
        page,
        {
            "about": about,
            "offer": offer,
            "want": want,
            "asking": asking,
            "question": question,
            "fetch": fetch,
            "no": no,
            "fetching": fetching,
            "fit": fit,
        },
    )


def _wire(page: Page, parts: dict[str, Any]) -> None:
    @told
    def propose(dataset: str, model: str, goal: str) -> list[Any]:
        if not dataset:
            return [EMPTY, *[gr.skip()] * len(page.form.names)]
        proposal = page.desk.propose(dataset, model, goal)
        return [_fit(proposal), *fill(page.form, proposal.plan, proposal.reasons)]

    @told
    def weigh(dataset: str, model: str, goal: str, *raw: Any) -> str:
        return _fit(page.desk.propose(dataset, model, goal, read(page.form, raw))) if dataset else EMPTY

    @told
    def describe(model: str) -> tuple[str, Any, Any]:
        check = page.lab.check_model(model)
        remember(page.lab.home, {"model": model})
        return model_html(check), gr.Row(visible=can_download(check)), gr.Column(visible=False)

    @told
    def ask(model: str) -> tuple[str, Any, Any, Any]:
        check = page.lab.check_model(model, ask_hub=True)
        possible = can_download(check)
        said = download_question(check) if possible else model_html(check)
        return said, gr.Column(visible=True), gr.Row(visible=False), gr.Button(visible=possible)

    @told
    def fetch(model: str) -> Iterator[str]:
        yield from follow(page.lab, page.lab.download(model), "Downloading")

    about = [parts["about"], parts["offer"], parts["asking"]]
    choice = [page.dataset, page.model, page.goal]
    page.choice.change(propose, choice, [parts["fit"], *page.form.inputs], show_progress="hidden")
    gr.on([page.model.change], describe, page.model, about, show_progress="hidden")
    parts["want"].click(ask, page.model, [parts["question"], parts["asking"], parts["offer"], parts["fetch"]])
    parts["no"].click(describe, page.model, about)
    for component in page.form.inputs:
        done = component.submit if isinstance(component, gr.Number | gr.Textbox) else getattr(component, "input")  # noqa: B009 - events are made at run time
        done(weigh, [*choice, *page.form.inputs], parts["fit"], show_progress="hidden")
    hidden = parts["fetch"].click(lambda: gr.Column(visible=False), None, parts["asking"])
    hidden.then(fetch, page.model, parts["fetching"], show_progress="hidden").then(describe, page.model, about)


def _fit(proposal: Proposal) -> str:
    return fit_html(proposal, memory_bar(proposal.footprint))
