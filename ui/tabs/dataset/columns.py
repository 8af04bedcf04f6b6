"""Owns the question which column is what: a guess that is confirmed with one click, or a form with the few roles that people need first.

Invariant: what is chosen here is remembered for files with the same columns, so it is asked once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from loralab.core.errors import UserError
from loralab.core.records import DatasetProfile
from loralab.lab import Gallery
from ui.desk import asked_first
from ui.markup import markup
from ui.tabs.dataset.pictures import grid_html, others_html
from ui.tabs.dataset.sheet import choices_html
from ui.tabs.dataset.view import rows_html

FIRST = {
    "prompt": "The question, or what is asked",
    "answer": "The answer it should learn",
    "label": "The label to sort into",
    "text": "The text to sort, or to write like",
}
RARE = {
    "system": "Instructions that come first",
    "input": "More to read before the answer",
    "reasoning": "Reasoning before the answer",
    "history": "What was said before the question",
    "messages": "Whole conversations",
    "rejected": "The answer that was not chosen",
    "wanted": "Whether the answer is wanted",
    "pictures": "Pictures, to learn the words without them",
    "tools": "Tools that may be called",
}
ROLES = (*FIRST, *RARE)
NONE = "(none)"
MOST_NAMES = 13  # that are offered
WHO = "assistant"  # the role that is no column: who of those who speak the model learns to be


@dataclass(frozen=True)
class Columns:
    """The first rows, the question under them, and the form."""

    rows: gr.HTML
    unsure: gr.Row
    others: gr.HTML
    yes: gr.Button
    no: gr.Button
    who: gr.Radio
    change: gr.Button
    form: gr.Column
    roles: tuple[gr.Dropdown, ...]
    apply: gr.Button

    @property
    def outputs(self) -> list[Any]:
        """What `updates` changes."""
        return [self.rows, self.who, self.unsure, self.no, self.others, self.change, self.form, *self.roles]

    def updates(self, profile: DatasetProfile, gallery: Gallery | None = None) -> dict[Any, Any]:
        """All of it, for another file; of pictures with their gallery."""
        if gallery is not None:
            return self._of_pictures(profile, gallery)
        unsure, choices, names = asked_first(profile), [NONE, *profile.columns], list(profile.speakers[:MOST_NAMES])
        filled = {box: gr.Dropdown(choices, value=profile.roles.get(role, NONE)) for role, box in zip(ROLES, self.roles, strict=True)}
        return {
            self.rows: rows_html(profile, unsure=unsure),
            # Nobody is ticked before it is said who: a click on who is ticked already is none.
            self.who: gr.Radio(names, value=None if unsure else profile.roles.get(WHO), visible=bool(names)),
            self.unsure: gr.Row(visible=unsure and not names),
            self.no: gr.Button(visible=True),
            self.others: choices_html(profile) if unsure else "",
            self.change: gr.Button(visible=not unsure and len(profile.columns) > 1),
            self.form: gr.Column(visible=False),
            **filled,
        }

    def _of_pictures(self, profile: DatasetProfile, gallery: Gallery) -> dict[Any, Any]:
        """Pictures have no columns to choose: what else they could be meant as is listed."""
        return {
            self.rows: grid_html(profile, gallery),
            self.who: gr.Radio(visible=False),
            self.unsure: gr.Row(visible=asked_first(profile)),
            self.no: gr.Button(visible=False),
            self.others: others_html(profile) if asked_first(profile) else "",
            self.change: gr.Button(visible=False),
            self.form: gr.Column(visible=False),
        }


def columns_card() -> Columns:
    """Draw it. The form opens on “No” and on “Choose other columns”."""
    with gr.Column(elem_classes="card roles"):
        rows = markup(elem_id="rows")
        who = gr.Radio([], label="Who of them should the model learn to be?", visible=False, elem_id="speakers")
        with gr.Row(visible=False, elem_classes="actions") as unsure:
            yes = gr.Button("Yes, that is right", variant="primary", scale=0, min_width=180, elem_id="columns-right")
            no = gr.Button("No, choose the columns", scale=0, min_width=190, elem_id="columns-wrong")
        others = markup(elem_id="others")
        change = gr.Button("Choose other columns", size="sm", scale=0, min_width=170, visible=False, elem_classes="quiet")
        with gr.Column(visible=False) as form:
            roles = _boxes(FIRST)
            with gr.Accordion("More", open=False, elem_classes="fold"):
                roles += _boxes(RARE)
            apply = gr.Button("Use these columns", variant="primary", scale=0, min_width=180)
    for button in (no, change):
        button.click(lambda: gr.Column(visible=True), None, form, show_progress="hidden")
    return Columns(rows, unsure, others, yes, no, who, change, form, tuple(roles), apply)


def _boxes(words: dict[str, str]) -> list[gr.Dropdown]:
    with gr.Row(elem_classes="form-grid"):
        return [gr.Dropdown([NONE], value=NONE, label=said, interactive=True) for said in words.values()]


def picked(profile: DatasetProfile, place: str) -> dict[str, str]:
    """The roles of the choice that was clicked; none where it is gone."""
    return next((choice.roles for at, choice in enumerate(profile.choices) if str(at) == place), {})


def ticked(parts: list[str]) -> list[str]:
    """The parts that are to be read. Raises UserError where there are none."""
    if not parts:
        raise UserError("Nothing is ticked.", "Tick at least one.", code="no_such_part")
    return parts


def chosen(values: tuple[str, ...]) -> dict[str, str]:
    """Role -> column, as the form says."""
    return {role: column for role, column in zip(ROLES, values, strict=True) if column and column != NONE}
