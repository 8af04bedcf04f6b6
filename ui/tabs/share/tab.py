"""Owns the fifth tab: where a result is to be used, what that costs, making it, and what was found of the file that was made.

Invariant: an export is a run of its own. The page only looks for it, so it is found again after a reload, and leaving does not end it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from loralab.core.errors import UserError
from loralab.core.events import RunView
from loralab.lab import Lab
from ui.errors import show_errors
from ui.markup import markup
from ui.opening import open_folder
from ui.page import Page, Updates
from ui.runs.saved_report import report_file, save_on_click
from ui.runs.work import progress_line
from ui.tabs.share import import_adapter
from ui.tabs.share import view as view_of
from ui.words import heading, notice, paragraph, small_title

TAKE = "What was learned is yours. Say where you want to use it, and it is made ready for that, on this computer."
KEEP = "Everything about this run on one page: settings, curves, time, the verdict and examples."
FIRST = view_of.DESTINATIONS[0]


def build(lab: Lab, page: Page) -> None:
    """Draw the tab and wire it."""
    parts: dict[str, Any] = {"work": gr.State(""), "clock": gr.Timer(0.7, active=False)}
    markup(heading("Take it with you", TAKE))
    parts["place"] = markup(view_of.NOT_YET, elem_id="place")
    with gr.Column(visible=False) as parts["ready"]:
        with gr.Column(elem_classes="card"):
            _draw_choices(parts)
        with gr.Column(visible=False, elem_classes="card", elem_id="made") as parts["made_card"]:
            _draw_made(parts)
        with gr.Column(elem_classes="card"):
            markup(heading("Its report", KEEP))
            with gr.Row(elem_classes="actions"):
                report = gr.Button("Save the run's report", scale=0, min_width=190)
        with gr.Accordion("Its card: what it was made from, how, and how good it is", open=False, elem_classes="fold"):
            parts["card"] = gr.Markdown("", elem_classes="model-card")
    import_adapter.draw(lab, page)
    save_on_click(report, page, report_file("share-report"))
    _wire(lab, page, parts)


def _draw_choices(parts: dict[str, Any]) -> None:
    markup(heading("Where do you want to use it?"))
    parts["destination"] = gr.Radio(
        view_of.destination_choices(), value=FIRST.key, show_label=False, container=False, elem_classes="goals", elem_id="ways"
    )
    parts["words"] = markup(paragraph(FIRST.words, "lead"), elem_id="way-words")
    sizes = view_of.size_choices(FIRST.key)
    parts["size"] = gr.Radio(sizes, value=sizes[0][1], show_label=False, container=False, elem_classes="goals", elem_id="sizes")
    parts["cost"] = markup(elem_id="cost")
    parts["install"] = gr.Checkbox(False, label="Also give it to Ollama on this computer", container=False, elem_id="install")
    with gr.Row(elem_classes="actions"):
        parts["make"] = gr.Button("Make it", variant="primary", scale=0, min_width=180)
        parts["stop"] = gr.Button("Cancel", scale=0, min_width=110, visible=False)
    parts["progress"] = markup(elem_id="making")


def _draw_made(parts: dict[str, Any]) -> None:
    parts["made"] = markup(elem_id="made-card")
    with gr.Row(elem_classes="actions"):
        parts["open"] = gr.Button("Open the folder", scale=0, min_width=160)
        parts["take"] = gr.DownloadButton("Download", visible=False, scale=0, min_width=160)
    with gr.Column() as parts["lines"]:
        markup(small_title("Lines to copy"))
        parts["guide"] = gr.Markdown("", elem_classes="model-card guide", elem_id="guide")


ACTED_ON = ("destination", "size", "open")  # parts that a run does not change by itself


def _wire(lab: Lab, page: Page, parts: dict[str, Any]) -> None:
    outputs = [part for name, part in parts.items() if name not in ACTED_ON]
    asked = [page.run, parts["destination"], parts["size"]]

    @show_errors
    def show(run: str, destination: str, size: str) -> Updates:
        return {parts[name]: update for name, update in _shown(lab, run, destination, size).items()}

    @show_errors
    def make(run: str, destination: str, size: str, install: bool) -> Updates:
        form, _, variant = size.partition(":")
        lab.export(run, form, variant, install=bool(install and view_of.BY_KEY[destination].program))
        return show(run, destination, size)

    @show_errors
    def tick(run: str, destination: str, size: str, work: str) -> Updates:
        view = lab.view(work) if work else None
        if view is None or not view.active:
            return show(run, destination, size)
        return {parts["progress"]: progress_line(view, "Making it")}

    @show_errors
    def open_result(run: str, size: str) -> None:
        result = view_of.result_of(view_of.exports_of(lab, run).get(size))
        if not result:
            raise UserError("This folder is not there any more.", "Make it again.", code="gone")
        open_folder(lab.home, Path(str(result["folder"])))

    page.moment.change(show, asked, outputs, show_progress="hidden")
    parts["destination"].input(show_errors(_sizes), parts["destination"], parts["size"], show_progress="hidden").then(
        show, asked, outputs, show_progress="hidden"
    )
    parts["size"].input(show, asked, outputs, show_progress="hidden")
    parts["make"].click(make, [*asked, parts["install"]], outputs, show_progress="hidden", trigger_mode="once")
    parts["clock"].tick(tick, [*asked, parts["work"]], outputs, show_progress="hidden")
    parts["stop"].click(show_errors(lambda work: lab.stop(work) if work else None), parts["work"], None, show_progress="hidden")
    parts["open"].click(open_result, [page.run, parts["size"]], None, show_progress="hidden")


def _sizes(destination: str) -> Any:
    choices = view_of.size_choices(destination)
    return gr.Radio(choices, value=choices[0][1])


def _shown(lab: Lab, run: str, destination: str, size: str) -> dict[str, Any]:
    """Updates for the parts, by their names."""
    view = lab.view(run) if run else None
    words = view_of.state_html(view)
    if words or view is None:
        return {"place": words, "ready": gr.Column(visible=False), "clock": gr.Timer(active=False), "work": ""}
    exports = view_of.exports_of(lab, run)
    working = next((found for found in exports.values() if found.active), None)
    offer = view_of.offer_for(lab.offers(run), size)
    program, result = view_of.BY_KEY[destination].program, view_of.result_of(exports.get(size))
    file = view_of.download_of(result)
    good = bool(result) and view_of.parity_of(result).outcome != "differs"  # nobody is shown how to use what is not to be used
    guide = view_of.guide_of(result, lab.job(run).model) if good else ""
    return {
        "place": view_of.warning_html(view),
        "ready": gr.Column(visible=True),
        "words": paragraph(view_of.BY_KEY[destination].words, "lead"),
        "cost": view_of.cost_html(offer, exports.get(size)),
        "install": gr.Checkbox(label=f"Also give it to {program} on this computer", visible=bool(program)),
        "make": gr.Button(
            "Make it again" if result else "Make it",
            interactive=bool(offer and not offer.problem and not working),
            variant="secondary" if good else "primary",
        ),
        "stop": gr.Button(visible=working is not None),
        "progress": progress_line(working, "Making it") if working else _ended_html(exports.get(size)),
        "made_card": gr.Column(visible=bool(result)),
        "made": view_of.made_html(result),
        "take": gr.DownloadButton(f"Download the {'zip' if file.endswith('.zip') else 'file'}", value=file or None, visible=bool(file)),
        "lines": gr.Column(visible=bool(guide)),
        "guide": guide,
        "card": _card(lab.card(run)),
        "work": working.run if working else "",
        "clock": gr.Timer(active=working is not None),
    }


def _ended_html(export: RunView | None) -> str:
    """Why the last one came to nothing; empty when it is there, or was never asked for."""
    if export is None or export.state == "finished":
        return ""
    said = export.ending
    if export.state == "stopped":
        return notice(said.what if said and said.what else "Cancelled. Nothing was changed.")
    return notice(said.what if said and said.what else "It was interrupted.", said.todo if said else "Make it again.", "error")


def _card(card: str) -> str:
    """A model card without its machine-read head."""
    return card.split("---", 2)[-1].strip() if card.startswith("---") else card
