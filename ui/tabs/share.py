"""Owns the fifth tab: where the adapter is, the zip to take away, how to load it, and its card."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from loralab.errors import RunFailed
from loralab.lab import Lab
from ui.errors import told
from ui.markup import markup
from ui.page import Page
from ui.words import empty, esc, heading, term
from ui.work import follow

NOT_YET = empty("Nothing to take away yet", "When a run has finished, its adapter lies here, ready to use anywhere.")
TAKE = "What was learned is one small folder, yours to keep. It works with every program that reads PEFT adapters."
RECIPE = """from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base = {base!r}
adapter = {adapter!r}

tokenizer = AutoTokenizer.from_pretrained(base)
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
"""


def build(lab: Lab, page: Page) -> None:
    """Draw the tab and wire it."""
    markup(heading("Take it with you", TAKE))
    place = markup(NOT_YET, elem_id="place")
    with gr.Column(visible=False) as ready:
        with gr.Column(elem_classes="card"):
            markup(heading("As one file", "A zip with the adapter, its card and the plan to repeat it."))
            with gr.Row(elem_classes="actions"):
                pack = gr.Button("Make a zip", variant="primary", scale=0, min_width=180)
                take = gr.DownloadButton("Download the zip", visible=False, variant="primary", scale=0, min_width=180)
            packing = markup()
        with gr.Column(elem_classes="card"):
            markup(heading("Use it in Python", f"With {term('PEFT')}, on this computer or another one."))
            recipe = gr.Code(language="python", interactive=False, show_label=False, show_line_numbers=False, lines=7)
        with gr.Column(elem_classes="card"):
            markup(heading("Its card", "What it was made from, how, and how good it is. It travels with the adapter."))
            card = gr.Markdown("", elem_classes="model-card")
    _wire(page, {"place": place, "ready": ready, "recipe": recipe, "card": card, "take": take, "pack": pack, "packing": packing})


def _wire(page: Page, parts: dict[str, Any]) -> None:
    @told
    def show(run: str) -> list[Any]:
        view = page.lab.view(run) if run else None
        if view is None or not view.adapter or view.active:
            return [NOT_YET, gr.Column(visible=False), "", "", gr.DownloadButton(visible=False), ""]
        recipe = _recipe(page.lab.job(run).options, view.adapter)
        return [_place(view.adapter), gr.Column(visible=True), recipe, _card(page.lab.card(run)), gr.DownloadButton(visible=False), ""]

    @told
    def make(run: str) -> Iterator[Any]:
        work = page.lab.export(run, "adapter")
        for line in follow(page.lab, work, "Packing"):
            yield line, gr.skip()
        made = [artifact.path for artifact in page.lab.view(work).artifacts if artifact.kind == "export"]
        if not made:
            raise RunFailed("The zip was not made.", "Try it again.")
        yield _lies_at(made[-1]), gr.DownloadButton(value=made[-1], visible=True)

    shown = [parts[name] for name in ("place", "ready", "recipe", "card", "take", "packing")]
    page.moment.change(show, page.run, shown, show_progress="hidden")
    parts["pack"].click(make, page.run, [parts["packing"], parts["take"]], show_progress="hidden")


def _recipe(options: dict[str, Any], adapter: str) -> str:
    return RECIPE.format(base=str(options.get("model", "")), adapter=adapter)


def _lies_at(path: str) -> str:
    return f'<div class="fine">It lies at <code>{esc(path)}</code></div>'


def _place(adapter: str) -> str:
    return f'<div class="card"><div class="small-title">Your adapter is here</div><code class="path">{esc(adapter)}</code></div>'


def _card(card: str) -> str:
    """A model card without its machine-read head."""
    return card.split("---", 2)[-1].strip() if card.startswith("---") else card
