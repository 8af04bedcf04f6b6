"""Owns “describe what you want”: a sentence gives a plan and says what examples it takes, with an empty table to fill in.

Invariant: nothing is started or downloaded here; the table holds one made-up row, marked as an example.
"""

from __future__ import annotations

import csv
import io
from typing import Any

import gradio as gr

from advisor.proposals.describe import Described
from loralab.errors import UserError
from loralab.paths import room, write_atomic
from ui.errors import told
from ui.markup import markup
from ui.page import Page
from ui.words import duration, esc, fact, facts, size

SAID_ALREADY = ("not_downloaded",)  # in the sentence above
HINT = "answer like our support team, in German, short"


def wish_box(page: Page) -> None:
    """Draw the box."""
    with gr.Accordion("No examples yet? Describe what you want", open=False, elem_classes="fold", elem_id="wish"):
        text = gr.Textbox(label="It shall …", placeholder=HINT, max_length=300, submit_btn=True, elem_id="wish-text")
        found = markup(elem_id="wish-plan")
        table = gr.DownloadButton("Download an empty table for the examples", visible=False, scale=0, min_width=300, elem_id="wish-table")

    @told
    def describe(said: str) -> list[Any]:
        if not said.strip():
            raise UserError("Nothing is described yet.", f"Write a few words, such as: {HINT}.", code="no_wish")
        plan = page.advisor.describe(said.strip())
        return [described_html(plan), gr.DownloadButton(value=table_file(page, plan), visible=True), plan.proposal.plan["base_model"]]

    text.submit(describe, text, [found, table, page.model])


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
    wrong = [p for p in found.proposal.problems if p["severity"] == "error" and p["code"] not in SAID_ALREADY]
    problems = "".join(f"<li>{esc(p['what'])} {esc(p.get('todo', ''))}</li>" for p in wrong)
    trouble = f'<div class="notice warning"><ul>{problems}</ul></div>' if problems else ""
    return (
        f'<p class="lead">{esc(found.words)}</p>{tiles}{trouble}<div class="small-title">What it takes</div><ul class="needs">{lines}</ul>'
    )


def table_file(page: Page, found: Described) -> str:
    """A CSV file with the columns and one row that shows how it is meant."""
    text = io.StringIO()
    writer = csv.DictWriter(text, found.columns)
    writer.writeheader()
    writer.writerow(found.sample)
    path = room("exports", page.lab.home) / f"examples-{found.wish.task}.csv"
    write_atomic(path, "\ufeff" + text.getvalue())  # the mark that makes spreadsheets read it as UTF-8
    return str(path)
