"""Owns the field for a data set of the Hugging Face Hub: its name, which part of it, what it takes, and getting it.

Invariants: the name is sent when a person enters it, and nothing is fetched before they have seen size and licence and said yes; what is
being fetched goes on without the page, and the same name finds it again.
"""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr

from ui.asking import question
from ui.errors import show_errors_at
from ui.markup import markup
from ui.page import Page, Updates
from ui.runs.work import follow
from ui.words import notice

ALL = "All, keeping those to test with apart"
STAYS = "It goes into your workspace and is read there, as a file of yours."


def hub_box(page: Page) -> None:
    """Draw it and wire it; what was fetched becomes the examples of the page."""
    about = "Its name is sent to huggingface.co, nothing else. You see its size and licence before anything is fetched."
    label = "Or a data set from the Hub, by its name"
    name = gr.Textbox(label=label, info=about, placeholder="owner/name", max_length=200, submit_btn=True, elem_id="hub-name")
    with gr.Row(visible=False, elem_classes="form-grid") as part:
        config = gr.Dropdown([], label="Configuration", elem_id="hub-config")
        split = gr.Dropdown([], label="Split", elem_id="hub-split")
    asking = question("Download it", "Not now", name="hub")
    doing = markup(elem_id="hub-doing")
    stop = gr.Button("Stop the download", size="sm", scale=0, min_width=150, visible=False, elem_classes="quiet", elem_id="hub-stop")

    @show_errors_at("hub-name")
    def look(*meant: str) -> Updates:
        found = page.lab.hub_dataset(*meant)
        several = len(found.splits) > 1
        splits = [(ALL if several else "All", ""), *((one, one) for one in found.splits if several)]
        return {
            **asking.ask(notice(found.words, STAYS)),
            part: gr.Row(visible=several or len(found.configs) > 1),
            config: gr.Dropdown(list(found.configs), value=found.config),
            split: gr.Dropdown(splits, value=found.split),
        }

    @show_errors_at("hub-name")
    def fetch(*meant: str) -> Iterator[Updates]:
        run = page.lab.fetch_dataset(page.lab.hub_dataset(*meant))
        idle: Updates = {doing: "", stop: gr.Button(visible=False)}
        yield {stop: gr.Button(visible=True)}
        for line in follow(page.lab, run, "Downloading"):
            yield {doing: line} if line else idle
        ending = page.lab.view(run).ending
        if ending and ending.what:
            gr.Info(ending.what, title=meant[0])
        yield {**idle, page.dataset: str(ending.result["file"]) if ending else ""}

    def end() -> None:
        for run in page.lab.runs():
            if run["kind"] == "fetch_dataset" and page.lab.view(run["id"]).active:
                page.lab.stop(run["id"])

    found = [asking.column, asking.words, part, config, split]
    name.submit(look, name, found)
    config.input(look, [name, config], found)
    split.input(look, [name, config, split], found)
    hidden = asking.yes.click(lambda: [asking.hide(), gr.Row(visible=False)], None, [asking.column, part], show_progress="hidden")
    hidden.then(fetch, [name, config, split], [doing, stop, page.dataset], show_progress="hidden")
    asking.no.click(lambda: gr.Row(visible=False), None, part, show_progress="hidden")
    stop.click(end, None, None, show_progress="hidden")
