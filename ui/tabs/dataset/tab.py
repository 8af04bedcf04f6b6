"""Owns the first tab: choose examples, see what is in them, say what they should teach, start.

Invariant: three decisions lead to a run; everything else is shown, not asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from loralab.core.errors import UserError
from loralab.core.records import DatasetProfile
from loralab.lab import Lab
from ui import goals
from ui.advisor.describe import goal_box
from ui.errors import show_errors
from ui.markup import markup
from ui.page import Page, Updates, choice_key, go_to, refusal, start_on_click
from ui.tabs.dataset.view import doctor_notes, left_out_rows, previews_html, samples_html, summary_html
from ui.words import heading, paragraph

ROLE_WORDS = {
    "prompt": "What is asked",
    "answer": "What should be answered",
    "label": "The label to sort into",
    "text": "Text to write like, or to sort",
    "system": "Instructions that come first",
    "input": "More to read before the answer",
    "reasoning": "Reasoning before the answer",
    "messages": "Whole conversations",
}
NONE = "(none)"


def build(lab: Lab, page: Page) -> None:
    """Draw the tab and wire it."""
    with gr.Column(elem_classes="chooser") as chooser:
        markup(
            heading(
                "What should it learn from?",
                "Drop a file with examples of what you want, or try one of the samples. Nothing leaves this computer.",
            )
        )
        upload = gr.File(label="Drop your file here", file_count="single", height=150, elem_id="drop", elem_classes="drop")
        markup(paragraph("Text, Markdown, JSON, CSV, TSV, Parquet or Excel; a zip of them works too.", "fine"))
        cards = markup(samples_html(lab.samples()), elem_id="samples")
        goal_box(page)
    with gr.Column(visible=False, elem_classes="found") as found:
        summary = markup()
        again = gr.Button("Choose other examples", size="sm", scale=0, min_width=190, elem_classes="quiet")
        with gr.Column(visible=False, elem_classes="card roles") as asking:
            roles, apply = _roles_form()
        with gr.Column(elem_classes="card decide"):
            markup(heading("What should it do?", step="2"))
            page.goal.render()
            markup(heading("Start", "The rest is chosen for this file and this computer. You can look at it first.", step="3"))
            with gr.Row(elem_classes="actions"):
                start = gr.Button("Start", variant="primary", scale=0, min_width=200, elem_id="start-here")
                plan = gr.Button("Look at the plan", scale=0, min_width=170, elem_classes="quiet")
            refused = refusal()
        notes = markup()
        previews = markup(elem_id="previews")
        with gr.Accordion("Rows that were left out, and why", open=False, visible=False, elem_classes="fold") as left_fold:
            left = gr.Dataframe(
                headers=["Row", "File", "Reason"], datatype=["number", "str", "str"], interactive=False, wrap=True, show_label=False
            )
    _wire(
        page,
        {"upload": upload, "cards": cards, "again": again, "apply": apply, "plan": plan},
        FileView(chooser, found, summary, notes, previews, left_fold, left, asking, tuple(roles)),
    )
    again.click(lambda: (gr.Column(visible=True), gr.Column(visible=False), None, ""), None, [chooser, found, upload, page.dataset])
    start_on_click(start, page, refused)


@dataclass(frozen=True)
class FileView:
    """What describes the file."""

    chooser: gr.Column
    found: gr.Column
    summary: gr.HTML
    notes: gr.HTML
    previews: gr.HTML
    left_fold: gr.Accordion
    left: gr.Dataframe
    asking: gr.Column
    roles: tuple[gr.Dropdown, ...]

    @property
    def outputs(self) -> list[Any]:
        """What `updates` changes."""
        *parts, roles = vars(self).values()
        return [*parts, *roles]

    def updates(self, profile: DatasetProfile) -> Updates:
        """All of it, for another file."""
        columns = [NONE, *profile.columns]
        return {
            self.chooser: gr.Column(visible=False),
            self.found: gr.Column(visible=True),
            self.summary: summary_html(profile),
            self.notes: doctor_notes(profile),
            self.previews: previews_html(profile),
            self.left_fold: gr.Accordion(visible=bool(profile.left_out)),
            self.left: left_out_rows(profile),
            self.asking: gr.Column(visible=not profile.certain and len(profile.columns) > 1),
            **{
                input_: gr.Dropdown(columns, value=profile.roles.get(role, NONE))
                for role, input_ in zip(ROLE_WORDS, self.roles, strict=True)
            },
        }


def _roles_form() -> tuple[list[gr.Dropdown], gr.Button]:
    markup(
        heading(
            "Which column is what?",
            "The columns of this file could be read in more than one way. Say it once; it is remembered for files like this.",
        )
    )
    with gr.Row(elem_classes="form-grid"):
        roles = [gr.Dropdown([NONE], value=NONE, label=words, interactive=True) for words in ROLE_WORDS.values()]
    return roles, gr.Button("Use these columns", variant="primary", scale=0, min_width=180)


def _wire(page: Page, parts: dict[str, Any], shown: FileView) -> None:
    @show_errors
    def take_upload(uploaded: str | None, model: str) -> Any:
        if not uploaded:
            return gr.skip()
        kept = page.desk.keep(uploaded)
        page.desk.profile(kept, model)  # refuses here, before the page is about this file
        return kept

    @show_errors
    def take_sample(event: gr.EventData) -> str:
        known = {sample.name: sample for sample in page.lab.samples()}
        if event.pick not in known:
            raise UserError("There is no such sample.", "Choose one of the cards.", code="no_sample")
        return str(known[event.pick].path)

    @show_errors
    def describe_file(dataset: str, model: str) -> Updates:
        if not dataset:
            return gr.skip()
        return described(dataset, model, goals.fitting(page.desk.profile(dataset, model)))

    def described(dataset: str, model: str, goal: str, columns: str = "") -> Updates:
        """The file and a goal that was chosen for it."""
        shows = shown.updates(page.desk.profile(dataset, model, goal))
        return {**shows, page.goal: goal, page.choice: choice_key(dataset, model, goal) + columns}

    @show_errors
    def change(dataset: str, model: str, goal: str) -> Updates:
        if not dataset:
            return gr.skip()
        goals.changes(goal, page.desk.profile(dataset, model, goal))
        updates = described(dataset, model, goal)
        del updates[page.goal]  # it is the person's
        return updates

    @show_errors
    def use_columns(dataset: str, model: str, goal: str, *columns: str) -> Updates:
        chosen = {role: column for role, column in zip(ROLE_WORDS, columns, strict=True) if column != NONE}
        goal = goals.fitting(page.desk.profile(dataset, model, goal, roles=chosen))
        return described(dataset, model, goal, f"\n{chosen}")

    outputs = [*shown.outputs, page.choice]
    taken = parts["upload"].upload(take_upload, [parts["upload"], page.model], page.dataset)
    taken.then(lambda: None, None, parts["upload"], show_progress="hidden")
    parts["cards"].click(take_sample, None, page.dataset, show_progress="hidden")
    page.dataset.change(describe_file, [page.dataset, page.model], [*outputs, page.goal])
    gr.on([page.goal.input, page.model.change], change, [page.dataset, page.model, page.goal], outputs)
    parts["apply"].click(use_columns, [page.dataset, page.model, page.goal, *shown.roles], [*outputs, page.goal])
    parts["plan"].click(lambda: go_to("plan"), None, page.tabs)
