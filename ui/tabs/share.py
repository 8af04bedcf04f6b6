"""Owns the fifth tab: where the adapter is, the zip to take away, how to load it, and its card."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from loralab.errors import RunFailed
from loralab.lab import Lab
from ui.errors import told
from ui.page import Page
from ui.words import empty, esc, heading, term
from ui.work import follow

NOT_YET = empty("Nothing to take away yet", "When a run has finished, its adapter lies here, ready to use anywhere.")
RECIPE = """from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base = {base!r}
adapter = {adapter!r}

tokenizer = AutoTokenizer.from_pretrained(base)
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
"""


def build(lab: Lab, page: Page) -> None:
    """Draw the tab and wire it."""
    gr.HTML(heading("Take it with you", "What was learned is one small folder, yours to keep. It works with every program that reads PEFT adapters."))
    place = gr.HTML(NOT_YET, elem_id="place")
    with gr.Column(visible=False) as ready:
        with gr.Column(elem_classes="card"):
            with gr.Row(elem_classes="actions"):
                pack = gr.Button("Make a zip", variant="primary", scale=0, min_width=180)
                take = gr.DownloadButton("Download the zip", visible=False, variant="primary", scale=0, min_width=180)
            packing = gr.HTML("")
        with gr.Column(elem_classes="card"):
            gr.HTML(f'<div class="heading"><h2>Use it in Python</h2><p class="lead">With {term("PEFT")}, on this computer or another one.</p></div>')
            recipe = gr.Code(language="python", interactive=False, show_label=False, show_line_numbers=False, lines=7)
        with gr.Column(elem_classes="card"):
            gr.HTML(heading("Its card", "What it was made from, how, and how good it is. It travels with the adapter."))
            card = gr.Markdown("", elem_classes="model-card")

    @told
    def show(run: str) -> list[Any]:
        view = page.lab.view(run) if run else None
        if view is None or not view.adapter or view.active:
            return [NOT_YET, gr.Column(visible=False), "", "", gr.DownloadButton(visible=False)]
        base = str(page.lab.job(run).options.get("model", ""))
        return [_place(view.adapter), gr.Column(visible=True), RECIPE.format(base=base, adapter=view.adapter), _card(view.adapter), gr.DownloadButton(visible=False)]

    @told
    def make(run: str) -> Iterator[Any]:
        work = page.lab.export(run, "adapter")
        for line in follow(page.lab, work, "Packing"):
            yield line, gr.skip()
        made = [a.path for a in page.lab.view(work).artifacts if a.kind == "export"]
        if not made:
            raise RunFailed("The zip was not made.", "Try it again.")
        yield f'<div class="fine">It lies at <code>{esc(made[-1])}</code></div>', gr.DownloadButton(value=made[-1], visible=True)

    page.moment.change(show, page.run, [place, ready, recipe, card, take], show_progress="hidden")
    pack.click(make, page.run, [packing, take], show_progress="hidden")


def _place(adapter: str) -> str:
    return f'<div class="card"><div class="small-title">Your adapter is here</div><code class="path">{esc(adapter)}</code></div>'


def _card(adapter: str) -> str:
    """The model card that was written next to the weights, without its machine-read head."""
    path = Path(adapter) / "README.md"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return text.split("---", 2)[-1].strip() if text.startswith("---") else text
