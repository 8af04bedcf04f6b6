"""Owns the place where an adapter from elsewhere is dropped: a zip or its files, its base, and what to test it on.

Invariant: it is checked whole before there is a run; what does not fit is said in one sentence and leaves nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from loralab.core.errors import UserError
from loralab.core.jobs import TrainJob
from loralab.lab import Lab
from ui.errors import show_errors_at
from ui.markup import markup
from ui.page import Page, entry_label
from ui.settings import remember
from ui.words import notice, paragraph

TITLE = "Import an adapter from elsewhere"
LEAD = (
    "Drop its zip, or its files adapter_config.json and adapter_model.safetensors together. Adapters from LoRALab, LLaMA-Factory, Unsloth "
    "and PEFT fit, and so does a file that “Keep everything” made. It is checked against its base model; then you can talk to it, test it "
    "and take it anywhere, like one of your own."
)
SAYS = "As the adapter says"
BASE_INFO = "Only needed where it does not say, or names a folder of another computer. A Hugging Face name or a folder can be typed."
EXAMPLES = "Test it on the examples chosen in the Dataset tab"


def draw(lab: Lab, page: Page) -> None:
    """Draw it, folded, and wire it: the run it becomes is the one every tab is about."""
    with gr.Accordion(TITLE, open=False, elem_classes="fold", elem_id="bring-in"):
        markup(paragraph(LEAD, "lead"))
        files = gr.File(
            label="Drop the adapter here", file_count="multiple", type="filepath", height=150, elem_id="drop-adapter", elem_classes="drop"
        )
        models = [(SAYS, ""), *((entry_label(entry), entry.name) for entry in lab.models() if entry.present)]
        base = gr.Dropdown(models, value="", label="Its base model", info=BASE_INFO, allow_custom_value=True, elem_id="import-base")
        examples = gr.Checkbox(False, label=EXAMPLES, container=False, elem_id="import-examples")
        with gr.Row(elem_classes="actions"):
            bring = gr.Button("Import it", variant="primary", scale=0, min_width=180)
        said = markup(elem_id="brought")

    @show_errors_at("drop-adapter")
    def take(given: list[str] | None, model: str, tested: bool, dataset: str) -> list[Any]:
        if tested and not dataset:
            raise UserError(
                "There are no examples in the Dataset tab yet.", "Choose them there first, or take the tick away.", code="no_dataset"
            )
        run = lab.import_adapter(*(given or ()), base=model or "", data=dataset if tested else "")
        remember(lab.home, {"run": run})
        return [run, None, brought_html(lab, run)]

    bring.click(take, [files, base, examples, page.dataset], [page.run, files, said], trigger_mode="once")


def brought_html(lab: Lab, run: str) -> str:
    """What was brought in, and what should be known about it."""
    job = lab.job(run)
    plan, maker = job.plan, job.imported.by if isinstance(job, TrainJob) and job.imported else ""
    notes = [note for note in lab.view(run).notes if note.text]
    if opened := [i for i, note in enumerate(notes) if note.code == "opened"]:
        said = [note.text for note in notes[opened[-1] + 1 :]]
        todo = " ".join([*said, "See its verdict in the Evaluate tab."])
        return notice(f"“{job.title or run}” is here, as it was where it was kept.", todo, "warning" if said else "good")
    at = next((i for i, note in enumerate(notes) if note.code == "imported"), 0)
    base = str(plan["base_model"])
    what = f"“{plan['title']}” is here, made with {maker} for {Path(base).name if Path(base).is_absolute() else base}."
    return notice(
        what, " ".join([*(note.text for note in notes[at + 1 :]), "Talk to it in the Evaluate tab, or take it away above."]), "good"
    )
