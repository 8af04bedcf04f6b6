"""Owns “describe what you want”: a sentence gives a plan and says what examples it takes, with an empty table to fill in.

Invariant: nothing is started or downloaded here; the table holds one made-up row, marked as an example.
"""

from __future__ import annotations

import csv
import io
from typing import Any, Literal

import gradio as gr

from advisor.proposals.describe import MEANS, Described
from advisor.proposals.wishes import Chosen, Task
from loralab.core.errors import UserError
from loralab.core.paths import room, write_atomic
from ui.errors import told
from ui.markup import markup
from ui.page import Page
from ui.tabs.plan.view import reasons_html
from ui.words import duration, esc, fact, facts, size

SAID_ALREADY = ("not_downloaded",)  # in the sentence above
OTHER = "other"
HINT = "answer like our support team, in German, short"


def wish_box(page: Page) -> None:
    """Draw the box."""
    with gr.Accordion("No examples yet? Describe what you want", open=False, elem_classes="fold", elem_id="wish"):
        text = gr.Textbox(label="It shall …", placeholder=HINT, max_length=300, submit_btn=True, elem_id="wish-text")
        kind = gr.Radio([], label="Is it this?", visible=False, elem_id="wish-kind", elem_classes="goals compact")
        found = markup(elem_id="wish-plan")
        with gr.Row(visible=False, elem_classes="actions") as next_:
            table = gr.DownloadButton("Download an empty table for the examples", scale=0, min_width=300, elem_id="wish-table")
            use = gr.Button("Plan with this model", scale=0, min_width=190, elem_id="wish-model")
            back = gr.Button("Undo", visible=False, scale=0, min_width=90, elem_id="wish-undo")
        wanted, before = gr.State(""), gr.State("")

    @told
    def describe(said: str, model: str, meant: Chosen | Literal["other"] = "") -> list[Any]:
        if not said.strip():
            raise UserError("Nothing is described yet.", f"Write a few words, such as: {HINT}.", code="no_wish")
        if meant == OTHER:
            return [gr.Radio(choices(tuple(MEANS))), *[gr.skip()] * 6]
        plan = page.advisor.describe(said.strip(), kind=meant)
        name = str(plan.proposal.plan["base_model"])
        offer = gr.Button(f"Plan with {name}", visible=name != model)
        return [
            gr.skip() if meant else gr.Radio(choices(plan.wish.likely), value=plan.wish.task, visible=True),
            described_html(plan),
            gr.Row(visible=True),
            gr.DownloadButton(value=table_file(page, plan)),
            offer,
            gr.Button(visible=False),
            name,
        ]

    shown = [kind, found, next_, table, use, back, wanted]
    text.submit(describe, [text, page.model], shown)
    kind.input(describe, [text, page.model, kind], shown)
    chosen = [page.model, before, use, back]
    use.click(lambda name, was: [name, was, gr.Button(visible=False), gr.Button(visible=True)], [wanted, page.model], chosen)
    back.click(lambda was: [was, "", gr.Button(visible=True), gr.Button(visible=False)], before, chosen)


def choices(likely: tuple[Task, ...]) -> list[tuple[str, str]]:
    """Kinds of task to choose from, in plain words; the way to all of them where these are not all."""
    found = [(MEANS[task], str(task)) for task in likely]
    return found if len(found) == len(MEANS) else [*found, ("Something else", OTHER)]


def described_html(found: Described) -> str:
    """The plan in a sentence, its numbers, and what examples it takes."""
    needs = found.proposal.footprint
    tiles = facts(
        fact("Examples to collect", f"{found.rows:,}"),
        fact("Model", esc(found.proposal.plan["base_model"])),
        fact("Memory", size(needs.memory_bytes), f"{size(needs.free_bytes)} free"),
        fact("Time", duration(needs.seconds), "of learning"),
    )
    lines = "".join(f"<li>{esc(line)}</li>" for line in found.needs)
    wrong = [p for p in found.proposal.problems if p.severity == "error" and p.code not in SAID_ALREADY]
    problems = "".join(f"<li>{esc(p.what)} {esc(p.todo)}</li>" for p in wrong)
    trouble = f'<div class="notice warning"><ul>{problems}</ul></div>' if problems else ""
    plan = f"<details><summary>The whole plan, and why</summary>{reasons_html(found.proposal)}</details>"
    needs_ = f'<div class="small-title">What it takes</div><ul class="needs">{lines}</ul>'
    return f'<p class="lead">{esc(found.words)}</p>{tiles}{trouble}{needs_}{plan}'


def table_file(page: Page, found: Described) -> str:
    """A CSV file with the columns and one row that shows how it is meant."""
    text = io.StringIO()
    writer = csv.DictWriter(text, found.columns)
    writer.writeheader()
    writer.writerow(found.sample)
    path = room("exports", page.lab.home) / f"examples-{found.wish.task}.csv"
    write_atomic(path, "\ufeff" + text.getvalue())  # the mark that makes spreadsheets read it as UTF-8
    return str(path)
