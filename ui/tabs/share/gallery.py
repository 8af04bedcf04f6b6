"""Owns the gallery: adapters for the models of this computer, from a folder or the Hub; installing, trying and removing them; making one.

Invariants: the Hub is asked only when a person presses the button, and hears names of base models; what is installed is a run like any.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from loralab.core.errors import UserError
from loralab.lab import Adapter, Lab
from ui.errors import show_errors, show_errors_at
from ui.markup import draw, markup
from ui.page import Page, Updates
from ui.runs.work import follow
from ui.settings import remember
from ui.tabs.share.doing import Doings, Note
from ui.wires import go_to
from ui.words import count, notice, paragraph

TITLE = "Adapters for your models"
LEAD = (
    "What others taught the models you have. From a folder (a shared drive, a USB stick) or from the Hugging Face Hub. Each is checked "
    "against its base model, then you can try it beside it, test it and remove it like a run of your own."
)
ABOUT_HUB = "The names of your base models are sent to huggingface.co, nothing else."
FOLDER_INFO = "A folder with the file loralab-index.json in it. Anybody can host one."
MAKE = "Make a gallery of your own"
MAKE_LEAD = "Your adapters and an index go into a folder. Whoever opens that folder here sees them with their cards and verdicts."


def draw_gallery(page: Page) -> None:
    """Draw it, folded, and wire it."""
    with gr.Accordion(TITLE, open=False, elem_classes="fold", elem_id="gallery"):
        markup(paragraph(LEAD, "lead"))
        folder = gr.Textbox(label="From a folder", info=FOLDER_INFO, max_length=1000, submit_btn=True, elem_id="gallery-folder")
        with gr.Row(elem_classes="actions"):
            hub = gr.Button("Look on the Hugging Face Hub", scale=0, min_width=230, elem_id="gallery-hub")
            stop = gr.Button("Cancel", scale=0, min_width=110, visible=False)
        markup(paragraph(ABOUT_HUB, "fine"))
        doing = markup(elem_id="gallery-doing")
        shown = markup(elem_id="gallery-shown")
        with gr.Accordion(MAKE, open=False, elem_classes="fold", elem_id="gallery-make"):
            _draw_make(page)
    _wire(_Shelf(page, stop, doing, shown, gr.State(()), gr.State({}), Doings()), folder, hub)


@dataclass(frozen=True)
class _Shelf:
    """The list on the page, and what its buttons do."""

    page: Page
    stop: gr.Button
    doing: gr.HTML
    shown: gr.HTML
    found: gr.State  # the adapters that are listed
    cards: gr.State  # those whose card is open: name -> its words
    doings: Doings

    def listed(self, place: str) -> Updates:
        """Ask a folder or the Hub, and draw what it has."""
        found = self.page.lab.gallery(place)
        return {self.shown: draw("share", "adapters", found, {}, False), self.found: found, self.cards: {}, self.doing: ""}

    def act(self, verb: str, one: Adapter, found: tuple[Adapter, ...], opened: dict[str, str], window: str | None) -> Iterator[Updates]:
        """What a button of one adapter does."""
        lab = self.page.lab
        if verb == "card":
            now = {name: text for name, text in opened.items() if name != one.name}
            now = now if one.name in opened else now | {one.name: lab.gallery_card(one)}
            yield {self.cards: now, self.shown: draw("share", "adapters", found, now, False)}
        elif verb == "try":
            remember(lab.home, {"run": one.run})
            yield {self.page.run: one.run, self.page.tabs: go_to("evaluate")}
        elif verb == "remove":
            lab.delete(one.run)
            yield {**self.listed(one.place), self.doing: notice(f"{one.title} was removed. It lies in the workspace's trash.")}
        elif verb == "install":
            yield {self.stop: gr.Button(visible=True), self.shown: draw("share", "adapters", found, opened, True)}
            yield from self._install(one, found, opened, window)

    def _install(self, one: Adapter, found: tuple[Adapter, ...], opened: dict[str, str], window: str | None) -> Iterator[Updates]:
        def work(note: Note) -> None:
            self.page.lab.install(one, note)

        try:
            for line in self.doings.follow(window, f"Installing {one.title}", work):
                yield {self.doing: line}
        except Exception:
            yield {self.stop: gr.Button(visible=False), self.doing: "", self.shown: draw("share", "adapters", found, opened, False)}
            raise
        said = notice(f"“{one.title}” is here and fits its base model.", "Press “Try it” to ask it and its base the same.", "good")
        yield {**self.listed(one.place), self.doing: said, self.stop: gr.Button(visible=False)}


def _wire(shelf: _Shelf, folder: gr.Textbox, hub: gr.Button) -> None:
    @show_errors_at("gallery-folder")
    def from_folder(place: str) -> Updates:
        if not place.strip():
            raise UserError("There is no folder yet.", "Type or paste its path.", code="no_folder")
        return shelf.listed(place.strip())

    @show_errors_at("gallery-hub")
    def from_hub() -> Updates:
        return shelf.listed("hub")

    @show_errors_at("gallery-shown")
    def act(all_: tuple[Adapter, ...], opened: dict[str, str], request: gr.Request, event: gr.EventData) -> Iterator[Updates]:
        verb, _, number = str(event.pick).partition(":")
        if number.isdigit() and int(number) < len(all_):
            yield from shelf.act(verb, all_[int(number)], all_, opened, request.session_hash)

    def end(request: gr.Request) -> None:
        shelf.doings.stop(request.session_hash)

    outputs = [shelf.shown, shelf.found, shelf.cards, shelf.doing, shelf.stop, shelf.page.run, shelf.page.tabs]
    folder.submit(from_folder, folder, outputs, show_progress="hidden")
    hub.click(from_hub, None, outputs, show_progress="hidden", trigger_mode="once")
    shelf.shown.click(act, [shelf.found, shelf.cards], outputs, show_progress="hidden", trigger_mode="multiple")
    shelf.stop.click(end, None, None, show_progress="hidden")


# ---- making one ------------------------------------------------------------------------------------------------------------


def _choices(lab: Lab) -> list[tuple[str, str]]:
    """Trainings that left an adapter, the newest first."""
    rows = [row for row in lab.runs() if row["kind"] == "train" and row["state"] not in ("waiting", "running")]
    return [(f"{row['title'] or row['id']}", row["id"]) for row in rows if lab.view(row["id"]).made("adapter")]


def _draw_make(page: Page) -> None:
    lab = page.lab
    markup(paragraph(MAKE_LEAD, "lead"))
    chosen = gr.Dropdown([], multiselect=True, label="Which runs go into it", elem_id="gallery-runs")
    place = gr.Textbox(label="The folder", info="Made where it is not there yet.", max_length=1000, elem_id="gallery-place")
    with gr.Row(elem_classes="actions"):
        make = gr.Button("Make the gallery", scale=0, min_width=180, elem_id="gallery-write")
    said = markup(elem_id="gallery-made")

    @show_errors
    def renew(run: str) -> Any:
        known = _choices(lab)
        return gr.Dropdown(known, value=[run] if run in [key for _, key in known] else [])

    @show_errors_at("gallery-write")
    def write(runs: list[str], folder: str) -> Iterator[Updates]:
        if not runs or not folder.strip():
            raise UserError("A gallery needs a run and a folder.", "Choose a run and type a folder's path.", code="no_folder")
        exports: list[str] = []
        for run in runs:
            export = lab.made(run)
            if not export:
                export = lab.export(run)
                for line in follow(lab, export, "Making its adapter first"):
                    yield {said: line}
            exports.append(export)
        made = lab.make_gallery(exports, folder.strip())
        todo = "Others open that folder under “Adapters for your models”."
        yield {said: notice(f"{count(len(made.adapters), 'adapter')} in {Path(folder.strip())}.", todo, "good")}

    page.moment.change(renew, page.run, chosen, show_progress="hidden")
    make.click(write, [chosen, place], said, show_progress="hidden", trigger_mode="once")
