"""Owns “Write some by hand”: question, answer, next; paste two columns from a spreadsheet.

Invariant: each row is in the workspace as soon as Next was pressed, so that closing the page loses nothing.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import gradio as gr

from loralab.core.errors import UserError
from loralab.core.paths import room, write_atomic
from loralab.core.words import count
from ui.errors import show_errors_at
from ui.markup import draw, markup
from ui.page import Page, Updates
from ui.tabs.dataset.outcome import Outcome
from ui.words import heading

Pairs = list[tuple[str, str]]
LEAD = "Write what people would ask, and the answer you would want. Twenty are a start, a hundred are better."
MOST_PASTED = 20_000


def by_hand_panel(page: Page, outcome: Outcome) -> gr.Column:
    """Draw it and wire it; hidden until it is chosen."""
    with gr.Column(visible=False, elem_classes="card making", elem_id="way-by-hand") as panel:
        markup(heading("Your own examples", LEAD))
        question = gr.Textbox(label="Question", lines=2, max_lines=6, elem_id="hand-question")
        answer = gr.Textbox(label="Answer", lines=3, max_lines=12, elem_id="hand-answer")
        with gr.Row(elem_classes="actions"):
            after = gr.Button("Next", variant="primary", scale=0, min_width=140, elem_id="hand-next")
            done = gr.Button("Use these rows", scale=0, min_width=170, elem_id="hand-done")
        with gr.Accordion("Paste from a spreadsheet", open=False, elem_classes="fold"):
            pasted = gr.Textbox(label="Two columns: question, answer", lines=5, max_lines=12, elem_id="hand-pasted")
            paste = gr.Button("Add them", size="sm", scale=0, min_width=120, elem_id="hand-paste")
        listed = markup(lambda: draw("making", "written", read_draft(page.lab.home)), elem_id="hand-rows")

    def told(rows: Pairs) -> Updates:
        write_draft(page.lab.home, rows)
        return {listed: draw("making", "written", rows)}

    @show_errors_at("hand-next")
    def add(asked: str, said: str) -> Updates:
        if not asked.strip() or not said.strip():
            raise UserError("A row needs a question and an answer.", "Write both, then press Next.", code="empty_row")
        return {**told([*read_draft(page.lab.home), (asked.strip(), said.strip())]), question: "", answer: ""}

    @show_errors_at("hand-paste")
    def add_all(text: str) -> Updates:
        found = pairs_of(text)
        gr.Info(f"{count(len(found), 'row')} added.", title="Pasted")
        return {**told([*read_draft(page.lab.home), *found]), pasted: ""}

    @show_errors_at("hand-rows")
    def drop(event: gr.EventData) -> Updates:
        rows, at = read_draft(page.lab.home), int(str(event.pick))
        return told([row for place, row in enumerate(rows) if place != at])

    @show_errors_at("hand-done")
    def use(asked: str, said: str) -> Updates:
        rows = read_draft(page.lab.home) + ([(asked, said)] if asked.strip() and said.strip() else [])
        file = page.lab.write_by_hand(rows)
        return {**told([]), question: "", answer: "", **outcome.shown(str(file))}

    after.click(add, [question, answer], [question, answer, listed], show_progress="hidden").then(
        None, None, None, js="() => document.querySelector('#hand-question textarea')?.focus()"
    )
    paste.click(add_all, pasted, [pasted, listed], show_progress="hidden")
    listed.click(drop, None, listed, show_progress="hidden")
    done.click(use, [question, answer], [question, answer, listed, *outcome.outputs], show_progress="hidden")
    return panel


def pairs_of(text: str) -> Pairs:
    """Rows of what was copied from a spreadsheet (tabs between cells, quoted where a cell has lines), or of comma-separated text.

    Raises UserError where there are no two columns.
    """
    delimiter = "\t" if "\t" in text else ";" if text.count(";") > text.count(",") else ","
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text.strip()), delimiter=delimiter)][:MOST_PASTED]
    found = [(row[0], row[1]) for row in rows if len(row) > 1 and row[0] and row[1]]
    if found and found[0][0].casefold() in ("question", "questions", "prompt", "frage", "q"):
        found = found[1:]
    if not found:
        raise UserError(
            "There are no two columns in it.", "Mark two columns in the spreadsheet, copy, and paste them here.", code="no_columns"
        )
    return found


def _draft(home: Path) -> Path:
    return room("datasets", home) / "by-hand.draft.json"


def read_draft(home: Path) -> Pairs:
    """What was written so far."""
    try:
        return [(str(asked), str(said)) for asked, said in json.loads(_draft(home).read_text("utf-8"))]
    except (OSError, ValueError, TypeError):
        return []


def write_draft(home: Path, rows: Sequence[tuple[str, str]]) -> None:
    """Keep it."""
    write_atomic(_draft(home), json.dumps(rows, ensure_ascii=False))
