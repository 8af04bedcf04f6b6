"""“No examples yet? Describe what you want”: three controls give a plan and say what examples it takes, with an empty table to fill in.

A line of words chooses what it should do, where they say so plainly.

Invariants: nothing is started or downloaded here; no plan is shown for what nobody chose; the table holds one made-up row, marked as such.
"""

from __future__ import annotations

import csv
import io
from typing import Any

import gradio as gr

from advisor.proposals.describe import Described, Goal
from advisor.proposals.kinds import KINDS, LANGUAGES, KindName
from loralab.core.errors import UserError
from loralab.core.paths import room, write_atomic
from ui.errors import told
from ui.markup import draw, markup
from ui.page import Page
from ui.tabs.plan.view import reasons_html
from ui.words import duration, esc, fact, facts, notice, size

SAID_ALREADY = ("not_downloaded",)  # in the sentence above
HINT = "answer like our support team"
KIND_CHOICES = [(kind.means, name) for name, kind in KINDS.items()]
LANGUAGE_CHOICES = [("As in the examples", ""), *((language, language) for language in LANGUAGES)]
LENGTH_CHOICES = [("As in the examples", ""), ("Short", "short"), ("Long", "long")]


def goal_box(page: Page) -> None:
    """Draw the box."""
    with gr.Accordion("No examples yet? Describe what you want", open=False, elem_classes="fold", elem_id="goal"):
        text = gr.Textbox(label="It shall …", placeholder=HINT, max_length=300, submit_btn=True, elem_id="goal-text")
        asked = markup(elem_id="goal-asked")
        kind = gr.Radio(KIND_CHOICES, label="What should it do?", elem_id="goal-kind", elem_classes="goals compact")
        with gr.Row(elem_classes="form-grid"):
            language = gr.Dropdown(LANGUAGE_CHOICES, value="", label="Language", allow_custom_value=True, elem_id="goal-language")
            length = gr.Radio(LENGTH_CHOICES, value="", label="Answers", elem_id="goal-length", elem_classes="goals compact")
        found = markup(elem_id="goal-plan")
        with gr.Row(visible=False, elem_classes="actions") as next_:
            table = gr.DownloadButton("Download an empty table for the examples", scale=0, min_width=300, elem_id="goal-table")
            use = gr.Button("Plan with this model", scale=0, min_width=190, elem_id="goal-model")
            back = gr.Button("Undo", visible=False, scale=0, min_width=90, elem_id="goal-undo")
        wanted, before = gr.State(""), gr.State("")
    answer = [found, next_, table, use, back, wanted]
    _wire(page, text, [kind, language, length], asked, answer)
    chosen = [page.model, before, use, back]
    use.click(lambda name, was: [name, was, gr.Button(visible=False), gr.Button(visible=True)], [wanted, page.model], chosen)
    back.click(lambda was: [was, "", gr.Button(visible=True), gr.Button(visible=False)], before, chosen)


def _wire(page: Page, text: gr.Textbox, controls: list[Any], asked: gr.HTML, answer: list[Any]) -> None:
    """The line of words and each control give a plan as soon as it is plain what it shall do."""

    @told
    def understand(said: str, language: str, length: str, model: str) -> list[Any]:
        """The plan where the words name a kind; a question where they do not."""
        if not said.strip():
            raise UserError("Nothing is described yet.", f"Write a few words, such as: {HINT}.", code="no_goal")
        found = page.advisor.understand(said)
        if found.kind is None:
            choices = [choice for choice in KIND_CHOICES if choice[1] in found.ask]
            nothing = ["", gr.Row(visible=False), *[gr.skip()] * (len(answer) - 2)]
            return [gr.Radio(choices, value=None), notice(found.words, "", "info"), *nothing]
        return describe(found.kind, language, length, said, model)

    @told
    def describe(kind: KindName | None, language: str, length: str, said: str, model: str) -> list[Any]:
        """The plan for what was chosen; nothing yet where no kind is."""
        if not kind:
            return [gr.skip()] * (len(answer) + 2)
        goal = Goal.model_validate({"kind": kind, "language": (language or "").strip()[:40], "length": length, "text": said.strip()[:300]})
        return [gr.Radio(KIND_CHOICES, value=kind), "", *_plan(page, goal, model)]

    kind, language, length = controls
    text.submit(understand, [text, language, length, page.model], [kind, asked, *answer])
    for control in controls:
        control.input(describe, [*controls, text, page.model], [kind, asked, *answer])


def _plan(page: Page, goal: Goal, model: str) -> list[Any]:
    """What is shown of a goal's plan: the words, the buttons under it, and the name of its model."""
    made = page.advisor.describe(goal)
    name = str(made.proposal.plan["base_model"])
    offer = gr.Button(f"Plan with {name}", visible=name != model)
    table = gr.DownloadButton(value=table_file(page, made))
    return [described_html(made), gr.Row(visible=True), table, offer, gr.Button(visible=False), name]


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
