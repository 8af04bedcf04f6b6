"""“No examples yet? Describe what you want”: three controls give a plan and say what examples it takes, with an empty table to fill in.

A line of words chooses what it should do, where they say so plainly.

Invariants: nothing is started or downloaded here; no plan is shown for what nobody chose; the table holds one made-up row, marked as such.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

import gradio as gr

from advisor.proposals.describe import Described, Goal
from advisor.proposals.kinds import KINDS, LANGUAGES, KindName
from loralab.core.errors import UserError
from loralab.core.paths import room, write_atomic
from ui.errors import show_errors
from ui.markup import draw, markup
from ui.page import Page, Updates
from ui.tabs.plan.view import reasons_html
from ui.words import duration, esc, fact, facts, notice, size

SAID_ALREADY = ("not_downloaded",)  # in the sentence above
HINT = "answer like our support team"
KIND_CHOICES = [(kind.means, name) for name, kind in KINDS.items()]
LANGUAGE_CHOICES = [("As in the examples", ""), *((language, language) for language in LANGUAGES)]
LENGTH_CHOICES = [("As in the examples", ""), ("Short", "short"), ("Long", "long")]


def goal_box(page: Page) -> Updates:
    """Draw the box. Returns the updates that empty it, for when a file is there."""
    with gr.Accordion("No examples yet? Describe what you want", open=False, elem_classes="fold", elem_id="goal"):
        text = gr.Textbox(label="What should it do?", placeholder=HINT, max_length=300, submit_btn=True, elem_id="goal-text")
        asked = markup(elem_id="goal-asked")
        kind = gr.Radio(KIND_CHOICES, label="Kind of task", elem_id="goal-kind", elem_classes="goals compact")
        with gr.Row(elem_classes="form-grid"):
            language = gr.Dropdown(LANGUAGE_CHOICES, value="", label="Language", allow_custom_value=True, elem_id="goal-language")
            length = gr.Radio(LENGTH_CHOICES, value="", label="Answers", elem_id="goal-length", elem_classes="goals compact")
        found = markup(elem_id="goal-plan")
        with gr.Row(visible=False, elem_classes="actions") as next_:
            table = gr.DownloadButton("Download an empty table for the examples", scale=0, min_width=300, elem_id="goal-table")
            use = gr.Button("Use this model for my plans", scale=0, min_width=220, elem_id="goal-model")
            back = gr.Button("Undo", visible=False, scale=0, min_width=90, elem_id="goal-undo")
        wanted, before, told = gr.State(""), gr.State(""), markup(elem_id="goal-told")
    answer = GoalPlan(found, next_, table, use, back, wanted)
    _wire(page, GoalInputs(text, kind, language, length, asked), answer)
    chosen = [page.model, before, use, back, told]

    def take(name: str, was: str) -> Updates:
        said = notice(f"Plans use {name} from now on, for the samples too.", f"Undo goes back to {was}.", "good")
        return {page.model: name, before: was, use: gr.Button(visible=False), back: gr.Button(visible=True), told: said}

    def undo(was: str) -> Updates:
        said = notice(f"Plans use {was} again.", "", "info")
        return {page.model: was, before: "", use: gr.Button(visible=True), back: gr.Button(visible=False), told: said}

    use.click(take, [wanted, page.model], chosen)
    back.click(undo, before, chosen)
    # Values only: what else is changed of a radio in a fold that was never open makes Gradio draw a second one outside of it.
    emptied: Updates = {text: "", asked: "", kind: None, found: "", told: ""}
    return {**emptied, next_: gr.Row(visible=False)}


@dataclass(frozen=True)
class GoalInputs:
    """Where it is described."""

    text: gr.Textbox
    kind: gr.Radio
    language: gr.Dropdown
    length: gr.Radio
    question: gr.HTML  # where the words do not say a kind


@dataclass(frozen=True)
class GoalPlan:
    """The plan, what can be done with it, and its model."""

    plan: gr.HTML
    actions: gr.Row
    table: gr.DownloadButton
    use: gr.Button
    back: gr.Button
    model: gr.State


def _wire(page: Page, asked: GoalInputs, answer: GoalPlan) -> None:
    """The line of words and each control give a plan as soon as it is plain what it shall do."""

    @show_errors
    def understand(said: str, language: str, length: str, model: str) -> Updates:
        """The plan where the words name a kind; a question where they do not."""
        if not said.strip():
            raise UserError("Nothing is described yet.", f"Write a few words, such as: {HINT}.", code="no_goal")
        found = page.advisor.understand(said)
        if found.kind is None:
            choices = [choice for choice in KIND_CHOICES if choice[1] in found.ask]
            question = {asked.kind: gr.Radio(choices, value=None), asked.question: notice(found.words, "", "info")}
            return {**question, answer.plan: "", answer.actions: gr.Row(visible=False)}
        return describe(found.kind, language, length, said, model)

    @show_errors
    def describe(kind: KindName | None, language: str, length: str, said: str, model: str) -> Updates:
        """The plan for what was chosen; nothing yet where no kind is."""
        if not kind:
            return gr.skip()
        goal = Goal.model_validate({"kind": kind, "language": (language or "").strip()[:40], "length": length, "text": said.strip()[:300]})
        return {asked.kind: gr.Radio(KIND_CHOICES, value=kind), asked.question: "", **_plan(page, goal, model, answer)}

    controls = [asked.kind, asked.language, asked.length]
    outputs = [asked.kind, asked.question, *vars(answer).values()]
    asked.text.submit(understand, [asked.text, asked.language, asked.length, page.model], outputs)
    for control in controls:
        control.input(describe, [*controls, asked.text, page.model], outputs)


def _plan(page: Page, goal: Goal, model: str, answer: GoalPlan) -> Updates:
    """What is shown of a goal's plan: the words, the buttons under it, and the name of its model."""
    made = page.advisor.describe(goal)
    name = str(made.proposal.plan["base_model"])
    return {
        answer.plan: described_html(made),
        answer.actions: gr.Row(visible=True),
        answer.table: gr.DownloadButton(value=table_file(page, made)),
        answer.use: gr.Button(f"Use {name} for my plans", visible=name != model),
        answer.back: gr.Button(visible=False),
        answer.model: name,
    }


def described_html(found: Described) -> str:
    """The plan in a sentence, its numbers, and what examples it takes."""
    needs = found.proposal.footprint
    tiles = facts(
        fact("Examples to collect", f"{found.rows:,}"),
        fact("Model", esc(found.proposal.plan["base_model"])),
        fact("Memory", size(needs.memory_bytes), f"{size(needs.free_bytes)} free"),
        fact("Time", duration(needs.seconds), "of learning"),
    )
    wrong = [p for p in found.proposal.problems if p.severity == "error" and p.code not in SAID_ALREADY]
    problems = [f"{p.what} {p.todo}" for p in wrong]
    return draw("advisor", "described", found.words, tiles, problems, found.needs, reasons_html(found.proposal))


def table_file(page: Page, found: Described) -> str:
    """A CSV file with the columns and one row that shows how it is meant."""
    text = io.StringIO()
    writer = csv.DictWriter(text, found.columns)
    writer.writeheader()
    writer.writerow(found.sample)
    path = room("exports", page.lab.home) / f"examples-{found.goal.kind}.csv"
    write_atomic(path, "\ufeff" + text.getvalue())  # the mark that makes spreadsheets read it as UTF-8
    return str(path)
