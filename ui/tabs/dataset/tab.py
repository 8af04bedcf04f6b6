"""Owns the first tab: choose examples, see what is in them, say what they should teach, start.

Invariants: three decisions lead to a run, everything else is shown, not asked; what is on the screen is about one file, and about none
while the next is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from loralab.core.errors import Offered, UserError
from loralab.core.records import DatasetProfile
from loralab.lab import Lab
from ui import goals
from ui.advisor.describe import goal_box
from ui.asking import Question, question
from ui.desk import stops
from ui.errors import show_errors, show_errors_at
from ui.long_reading import LongReadings
from ui.markup import draw, markup
from ui.page import Page, Updates, choice_key, refusal, start_on_click
from ui.tabs.dataset import pictures
from ui.tabs.dataset.columns import WHO, Columns, chosen, columns_card, picked, ticked
from ui.tabs.dataset.from_hub import hub_box
from ui.tabs.dataset.making import making_box
from ui.tabs.dataset.templates import templates_box
from ui.tabs.dataset.view import doctor_notes, left_out_rows, part_choice, parts_words, read_html, samples_html, start_notes, summary_html
from ui.wires import go_to_js
from ui.words import empty, heading, notice, paragraph

DROP = "Drop a file here, or choose one"
STOP = "Stop reading"
KINDS = (
    "Word, PDF, Excel, CSV, plain text, Markdown, JSON or Parquet; a zip of them works too. Or a zip of pictures: sorted into folders, "
    "with masks, with boxes drawn around things, or with a line about each. A whole folder, or several files at once, can be dropped, too."
)
EXACTLY, AS_SEEN = "Show exactly what the model reads", "Show the pictures as the model sees them"
LEFT, LEFT_PICTURES = "Rows that were left out, and why", "Pictures that were left out, and why"


def build(lab: Lab, page: Page) -> None:
    """Draw the tab and wire it."""
    with gr.Column(elem_classes="chooser") as chooser:
        lead = "Drop a file with examples of what you want, or try one of the samples. Nothing leaves this computer."
        markup(heading("What should it learn from?", lead))
        upload = gr.File(label=DROP, file_count="single", height=150, elem_id="drop", elem_classes="drop")
        offered = question("Learn it so", "Choose another file", name="offered")
        markup(paragraph(KINDS, "fine") + draw("dataset", "whole_folder"))
        cards = markup(samples_html((sample, lab.sample_seconds(sample.name)) for sample in lab.samples()), elem_id="samples")
        fields = making_box(page)
        templates_box(page, fields)
        hub_box(page)
        wish = goal_box(page)
    with gr.Column(visible=False, elem_classes="found") as found:
        summary = markup(elem_id="summary")
        stop = gr.Button(STOP, size="sm", scale=0, min_width=150, visible=False, elem_classes="quiet", elem_id="stop-reading")
        again = gr.Button("Choose other examples", size="sm", scale=0, min_width=190, elem_classes="quiet", elem_id="again")
        with gr.Column(visible=False, elem_classes="card parts") as several:
            several_words = markup()
            parts = gr.CheckboxGroup(
                [], label="What is read", show_label=False, container=False, elem_id="parts", elem_classes="goals compact"
            )
        columns = columns_card()
        with gr.Column(elem_classes="card decide"):
            markup(heading("What should it do?", step="2"))
            page.goal.render()
            markup(heading("Start", "The rest is chosen for this file and this computer. You can look at it first.", step="3"))
            first = markup(elem_id="before-start")
            with gr.Row(elem_classes="actions"):
                start = gr.Button("Start", variant="primary", scale=0, min_width=200, elem_id="start-here")
                page.quick.render()
                plan = gr.Button("Look at the plan", scale=0, min_width=170, elem_classes="quiet")
            refused = refusal()
        notes = markup()
        with gr.Accordion(EXACTLY, open=False, elem_classes="fold", elem_id="exactly") as exactly_fold:
            exactly = markup(elem_id="previews")
        with gr.Accordion(LEFT, open=False, visible=False, elem_classes="fold") as left_fold:
            left = gr.Dataframe(
                headers=["Row", "File", "Reason"], datatype=["number", "str", "str"], interactive=False, wrap=True, show_label=False
            )
    starts, folds = (start, page.quick), (exactly_fold, exactly, left_fold, left)
    shown = FileView(lab, chooser, found, summary, stop, several, several_words, parts, first, starts, notes, *folds, columns)
    _wire_upload(page, upload, offered)
    _wire_choosing(page, cards, again, upload, shown, wish)
    _wire_found(page, shown)
    _wire_seen(page, exactly)
    plan.click(None, None, None, js=go_to_js("plan"))
    start_on_click(start, page, refused)
    start_on_click(page.quick, page, refused, quick=True)


@dataclass(frozen=True)
class FileView:
    """What describes the file."""

    lab: Lab
    chooser: gr.Column
    found: gr.Column
    summary: gr.HTML
    stop: gr.Button
    several: gr.Column
    several_words: gr.HTML
    parts: gr.CheckboxGroup
    first: gr.HTML
    starts: tuple[gr.Button, ...]
    notes: gr.HTML
    exactly_fold: gr.Accordion
    exactly: gr.HTML
    left_fold: gr.Accordion
    left: gr.Dataframe
    columns: Columns

    @property
    def outputs(self) -> list[Any]:
        """What `updates` changes."""
        own = {name: part for name, part in vars(self).items() if name not in ("lab", "starts", "columns")}
        return [*own.values(), *self.starts, *self.columns.outputs]

    def updates(self, profile: DatasetProfile) -> Updates:
        """All of it, for another file."""
        gallery = self.lab.pictures(profile.path, profile.roles) if goals.of_pictures(profile) else None
        several = len(profile.parts) > 1
        taken = [part.name for part in profile.parts if part.taken]
        return {
            self.chooser: gr.Column(visible=False),
            self.found: gr.Column(visible=True),
            self.summary: pictures.summary_html(profile, gallery) if gallery else summary_html(profile),
            self.stop: gr.Button(visible=False),
            self.several: gr.Column(visible=several),
            self.several_words: parts_words(profile) if several else "",
            self.parts: gr.CheckboxGroup([part_choice(part) for part in profile.parts if part.name], value=taken),
            self.first: start_notes(profile),
            **dict.fromkeys(self.starts, gr.Button(interactive=not stops(profile))),
            self.notes: doctor_notes(profile),
            self.exactly_fold: gr.Accordion(label=AS_SEEN if gallery else EXACTLY),
            self.exactly: "" if gallery else read_html(profile),
            self.left_fold: gr.Accordion(label=LEFT_PICTURES if gallery else LEFT, visible=bool(profile.left_out)),
            self.left: left_out_rows(profile),
            **self.columns.updates(profile, gallery),
        }

    def reading(self, name: str) -> Updates:
        """Nothing of the file before, while the next is read."""
        return {
            self.chooser: gr.Column(visible=False),
            self.found: gr.Column(visible=True),
            self.summary: empty(f"Reading {name} …", "Long documents and many pictures take a moment."),
            self.stop: gr.Button(STOP, visible=False, interactive=True),
            self.several: gr.Column(visible=False),
            self.first: "",
            **dict.fromkeys(self.starts, gr.Button(interactive=False)),
            self.notes: "",
            self.exactly: "",
            self.left_fold: gr.Accordion(visible=False),
            self.columns.rows: "",
            self.columns.who: gr.Radio(visible=False),
            self.columns.unsure: gr.Row(visible=False),
            self.columns.others: "",
            self.columns.change: gr.Button(visible=False),
            self.columns.form: gr.Column(visible=False),
        }

    def reading_on(self, name: str, words: str) -> Updates:
        """How far the reading of a large file is, with a way to stop it."""
        told = empty(f"Reading {name} …", words or "It is large: this takes some minutes, and what was read is kept.")
        return {self.summary: told, self.stop: gr.Button(visible=True)}

    def choosing(self) -> Updates:
        """The first thing that is seen: no file yet."""
        return {self.chooser: gr.Column(visible=True), self.found: gr.Column(visible=False)}


def _wire_seen(page: Page, exactly: gr.HTML) -> None:
    @show_errors
    def seen(dataset: str, model: str, goal: str, *raw: Any) -> Any:
        """Pictures as the plan on the screen shows them to the model; of texts the fold was filled with the file."""
        profile = page.desk.profile(dataset, model, goal) if dataset else None
        if profile is None or not goals.of_pictures(profile):
            return gr.skip()
        gallery = page.lab.pictures(profile.path, profile.roles)
        return pictures.seen_html(profile, gallery, page.desk.proposed(dataset, model, goal) | page.form.read(raw))

    asked = [page.dataset, page.model, page.goal, *page.form.inputs]
    page.ticket.change(seen, asked, exactly, show_progress="hidden")


def _wire_choosing(page: Page, cards: gr.HTML, again: gr.Button, upload: gr.File, shown: FileView, wish: Updates) -> None:
    long = LongReadings()

    @show_errors_at("samples")
    def take_sample(event: gr.EventData) -> Updates:
        known = {sample.name: sample for sample in page.lab.samples()}
        if event.pick not in known:
            raise UserError("There is no such sample.", "Choose one of the cards.", code="no_sample")
        chosen = known[event.pick]
        return {page.dataset: chosen.path, page.model: chosen.model, page.goal: _offered(chosen.profile)}

    @show_errors_at("drop")
    def describe_file(dataset: str, model: str, window: gr.Request) -> Iterator[Updates]:
        """Cleared first, filled later; a file that cannot be read any more leads back to the choice."""
        nothing: Updates = {page.choice: "", **wish}
        if not dataset:
            yield {**shown.choosing(), **nothing}
            return
        yield {**shown.reading(Path(dataset).name), **nothing}
        try:
            if page.lab.reads_long(dataset):
                for words in long.follow(window.session_hash, lambda watch: page.desk.profile(dataset, model, watch=watch)):
                    yield shown.reading_on(Path(dataset).name, words)
            goal = goals.fitting(page.desk.profile(dataset, model))
            found = page.desk.profile(dataset, model, goal)
        except UserError:
            yield {**shown.choosing(), page.dataset: ""}
            raise
        yield {**shown.updates(found), page.goal: _offered(found, goal), page.choice: choice_key(dataset, model, goal)}

    def stop(window: gr.Request) -> Updates:
        """It ends with the part that is being read."""
        long.stop(window.session_hash)
        return {shown.stop: gr.Button("Stopping …", interactive=False)}

    shown.stop.click(stop, None, shown.stop, show_progress="hidden")
    cards.click(take_sample, None, [page.dataset, page.model, page.goal], show_progress="hidden")
    again.click(lambda: (None, "", {}), None, [upload, page.dataset, page.pending], show_progress="hidden")
    described = [*shown.outputs, *wish, page.choice, page.goal, page.dataset]
    page.dataset.change(describe_file, [page.dataset, page.model], described, show_progress="hidden")


def _wire_upload(page: Page, upload: gr.File, offered: Question) -> None:
    """Take a file that is dropped, or one that was refused as it was meant and is read in another way that a person agrees to."""
    refused = gr.State(("", {}))  # that file, and the roles of the other way

    @show_errors_at("drop")
    def take_upload(uploaded: str | None, model: str) -> Iterator[Updates]:
        """The file in the workspace; one that is refused is not taken, and said beside where it was dropped."""
        if not uploaded:
            return
        yield {offered.column: offered.hide()}
        kept = page.desk.keep(uploaded)
        if not page.lab.reads_long(kept):  # that one is followed, and refused, where it is described
            try:
                kept = page.desk.without_traces(kept, uploaded, page.desk.profile(kept, model))
            except Offered as other:
                said = notice(other.problem.what, other.problem.todo, "warning")
                yield {**offered.ask(said), offered.yes: gr.Button(other.offer), refused: (kept, other.roles)}
                return
        yield {page.dataset: kept}

    @show_errors_at("offered-yes")
    def agree(known: tuple[str, dict[str, str]], model: str) -> Updates:
        """The file, read as it was offered."""
        kept, roles = known
        page.desk.profile(kept, model, roles=roles)
        return {page.dataset: kept, offered.column: offered.hide()}

    asked = [offered.column, offered.words, offered.yes, refused]
    taken = upload.upload(take_upload, [upload, page.model], [page.dataset, *asked])
    taken.then(lambda: None, None, upload, show_progress="hidden")
    offered.yes.click(agree, [refused, page.model], [page.dataset, offered.column], show_progress="hidden", trigger_mode="once")


def _offered(profile: DatasetProfile, goal: str = "") -> Any:
    """The goals these examples can have, with the one that is chosen."""
    return gr.update(choices=goals.choices(profile), value=goal or goals.fitting(profile))


def _wire_found(page: Page, shown: FileView) -> None:
    def described(dataset: str, model: str, goal: str, note: str = "") -> Updates:
        """The file and a goal that was chosen for it; `note` tells this reading from the one before."""
        profile = page.desk.profile(dataset, model, goal)
        return {**shown.updates(profile), page.goal: _offered(profile, goal), page.choice: choice_key(dataset, model, goal) + note}

    @show_errors
    def change(dataset: str, model: str, goal: str) -> Updates:
        if not dataset:
            return gr.skip()
        goals.changes(goal, page.desk.profile(dataset, model, goal))
        updates = described(dataset, model, goal)
        del updates[page.goal]  # it is the person's
        return updates

    @show_errors
    def confirm(dataset: str, model: str, goal: str) -> Updates:
        """The guess is right: it becomes the person's own word."""
        return use_roles(dataset, model, goal, page.desk.profile(dataset, model, goal).roles)

    @show_errors
    def use_speaker(dataset: str, model: str, goal: str, who: str) -> Updates:
        return use_roles(dataset, model, goal, {**page.desk.profile(dataset, model, goal).roles, WHO: who})

    @show_errors
    def use_choice(dataset: str, model: str, goal: str, event: gr.EventData) -> Updates:
        return use_roles(dataset, model, goal, picked(page.desk.profile(dataset, model, goal), str(event.pick)))

    @show_errors
    def use_columns(dataset: str, model: str, goal: str, *columns: str) -> Updates:
        return use_roles(dataset, model, goal, chosen(columns))

    def use_roles(dataset: str, model: str, goal: str, roles: dict[str, str]) -> Updates:
        if not roles:
            raise UserError("No column is chosen.", "Choose a question and an answer, or a text.", code="roles_incomplete")
        goal = goals.fitting(page.desk.profile(dataset, model, goal, roles=roles))
        return described(dataset, model, goal, f"\n{roles}")

    @show_errors
    def use_parts(dataset: str, model: str, goal: str, parts: list[str]) -> Updates:
        goal = goals.fitting(page.desk.profile(dataset, model, goal, parts=ticked(parts)))
        return described(dataset, model, goal, f"\n{parts}")

    about, outputs = [page.dataset, page.model, page.goal], [*shown.outputs, page.choice]
    gr.on([page.goal.input, page.model.change], change, about, outputs)
    shown.columns.yes.click(confirm, about, [*outputs, page.goal])
    shown.columns.who.input(use_speaker, [*about, shown.columns.who], [*outputs, page.goal])
    shown.columns.others.click(use_choice, about, [*outputs, page.goal])
    shown.columns.apply.click(use_columns, [*about, *shown.columns.roles], [*outputs, page.goal])
    shown.parts.input(use_parts, [*about, shown.parts], [*outputs, page.goal])
