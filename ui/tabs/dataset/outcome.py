"""Owns what came of making rows: the account, the maps, the cards to look through, and the way on.

Invariant: whatever is pressed is on the disk before it is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from loralab.core.errors import UserError
from loralab.core.words import count
from loralab.lab import Made, MadeReport, origin_words
from ui.errors import show_errors_at
from ui.markup import draw
from ui.page import Page, Updates
from ui.runs.work import follow
from ui.tabs.dataset.helping import helping_fold
from ui.words import fact, facts, heading, notice

ALL, BIN = "All", "In the bin"
ORIGINS = [
    (ALL, ""),
    ("Written by people", "human"),
    ("Quoted from documents", "extracted"),
    ("Written by a model", "synthetic"),
    (BIN, "bin"),
]
FORMS_OUT = [("JSON lines", "jsonl"), ("CSV (spreadsheet)", "csv"), ("Parquet", "parquet"), ("Card for the Hub", "card")]
ENDING = {"card": "md"}
MOST_DRAWN, LABEL_WIDE, LABEL_HIGH = 60, 110, 20  # names on the map; room for one, of 720 x 460


@dataclass
class Outcome:
    """Its parts; made before the ways so that they can fill it, and drawn behind them."""

    page: Page
    file: gr.State
    column: gr.Column = field(
        default_factory=lambda: gr.Column(visible=False, render=False, elem_classes="card making", elem_id="making-outcome")
    )
    told: gr.HTML = field(default_factory=lambda: _place("made-told"))
    card: gr.HTML = field(default_factory=lambda: _place("review"))
    map: gr.HTML = field(default_factory=lambda: _place("topic-map"))
    detail: gr.HTML = field(default_factory=lambda: _place("map-detail"))
    origin: gr.Dropdown = field(default_factory=lambda: gr.Dropdown(ORIGINS, value="", label="Show", render=False, elem_id="review-origin"))
    kind: gr.Dropdown = field(
        default_factory=lambda: gr.Dropdown([(ALL, "")], value="", label="Of this kind", render=False, elem_id="review-kind")
    )

    @property
    def outputs(self) -> list[Any]:
        """What `shown` and `hidden` change."""
        return [self.file, self.column, self.told, self.card, self.map, self.detail, self.origin, self.kind]

    def hidden(self) -> Updates:
        """Nothing yet."""
        return {self.column: gr.Column(visible=False)}

    def shown(self, file: str) -> Updates:
        """A made file, with its first card."""
        made = self.page.lab.made_data(file)
        kinds = sorted({row.kind for row in made.rows if row.kind})
        return {
            self.file: file,
            self.column: gr.Column(visible=True),
            self.told: told_html(made),
            self.card: review_html(self.page, file),
            self.map: draw("making", "maps", made.report, *graph_drawn(made)),
            self.detail: "",
            self.origin: gr.Dropdown(value=""),
            self.kind: gr.Dropdown([(ALL, ""), *((kind.replace("_", " "), kind) for kind in kinds)], value=""),
        }

    def draw(self) -> None:
        """Put it onto the page and wire it."""
        self.column.render()
        with self.column:
            self.told.render()
            with gr.Row(elem_classes="actions"):
                use = gr.Button("Use these rows", variant="primary", scale=0, min_width=190, elem_id="made-use")
                form = gr.Dropdown(FORMS_OUT, value="csv", show_label=False, container=False, scale=0, min_width=190, elem_id="made-form")
                out = gr.DownloadButton("Save a copy", size="sm", scale=0, min_width=130, elem_classes="quiet", elem_id="made-out")
            with gr.Accordion("Look through them", open=True, elem_classes="fold", elem_id="review-fold"):
                with gr.Row(elem_classes="form-grid"):
                    self.origin.render()
                    self.kind.render()
                self.card.render()
            helping_fold(self.page, self.file)
            with gr.Accordion("What the documents are about", open=False, elem_classes="fold", elem_id="map-fold"):
                self.map.render()
                self.detail.render()
        self._wire(use, form, out)

    def _wire(self, use: gr.Button, form: gr.Dropdown, out: gr.DownloadButton) -> None:
        page, asked = self.page, [self.file, self.origin, self.kind]

        @show_errors_at("review")
        def act(file: str, origin: str, kind: str, event: gr.EventData) -> Updates:
            """One step on a card: what was pressed, the row's id, and what was typed."""
            act, _, row = str(event.pick).partition(" ")
            note = stepped(page, file, act, row, str(getattr(event, "typed", "")), str(getattr(event, "answer", "")))
            opened, like = (row if act == "edit" else ""), (row if act == "like" else "")
            return {self.card: review_html(page, file, origin, kind, note, opened, like), self.told: told_html(page.lab.made_data(file))}

        @show_errors_at("review-origin")
        def show(file: str, origin: str, kind: str) -> str:
            return review_html(page, file, origin, kind)

        @show_errors_at("topic-map")
        def look(file: str, event: gr.EventData) -> str:
            return detail_html(page.lab.made_data(file), str(event.pick))

        @show_errors_at("made-use")
        def take(file: str) -> Updates:
            if not file:
                raise UserError("There are no rows yet.", "Make some first.", code="no_rows")
            return {page.dataset: file}

        @show_errors_at("made-out")
        def save(file: str, form: Any) -> str:
            made = page.lab.made_data(file)
            target = made.about / f"{made.path.stem}.{ENDING.get(form, form)}"
            target.unlink(missing_ok=True)
            return str(page.lab.hand_out(file, form, target))

        self.card.click(act, asked, [self.card, self.told], show_progress="hidden")
        self.origin.input(show, asked, self.card, show_progress="hidden")
        self.kind.input(show, asked, self.card, show_progress="hidden")
        self.map.click(look, self.file, self.detail, show_progress="hidden")
        use.click(take, self.file, page.dataset, show_progress="hidden")
        out.click(save, [self.file, form], out, show_progress="hidden")


def at_work(outcome: Outcome, run: str, words: str, doing: gr.HTML, stop: gr.Button) -> Iterator[Updates]:
    """Follow a piece of work that makes rows, with a way to stop it, and show what came of it."""
    idle: Updates = {doing: "", stop: gr.Button(visible=False)}
    yield {stop: gr.Button(visible=True), **outcome.hidden()}
    try:
        for line in follow(outcome.page.lab, run, words):
            yield {doing: line} if line else idle
    except Exception:
        yield idle
        raise
    ending = outcome.page.lab.view(run).ending
    yield {**idle, **outcome.shown(str(ending.result["file"]) if ending else "")}


def stop_work(page: Page, kind: str) -> None:
    """Ask what is at work of this kind to stop."""
    for row in page.lab.runs():
        if row["kind"] == kind and page.lab.view(row["id"]).active:
            page.lab.stop(row["id"])


def outcome_panel(page: Page) -> Outcome:
    """Its parts, not drawn yet."""
    return Outcome(page, gr.State(""))


def _place(name: str) -> gr.HTML:
    """A place for markup whose buttons raise clicks that carry what was typed beside them."""
    return gr.HTML("", apply_default_css=False, js_on_load="lab.making(element, trigger);", elem_id=name, render=False)


def graph_drawn(made: Made) -> tuple[list[tuple[Any, float, float, bool]], list[Any]]:
    """What is spoken of most, with its place on the map and whether its name fits there, and the relations between these."""
    placed: list[tuple[Any, float, float, bool]] = []
    for one in made.graph.entities[:MOST_DRAWN]:
        x, y = 60 + 600 * one.x, 26 + 396 * one.y
        fits = all(abs(x - a) > LABEL_WIDE or abs(y - b) > LABEL_HIGH for _, a, b, named in placed if named)
        placed.append((one, x, y, fits))
    names = {one.name for one, *_ in placed}
    return placed, [one for one in made.graph.relations if {one.first, one.second} <= names][:200]


def told_html(made: Made) -> str:
    """The account of a made file."""
    rows, report = made.rows, made.report or MadeReport()
    learned = [row for row in rows if row.split != "test"]
    origins: dict[str, int] = {name: sum(row.origin == name for row in learned) for name in ("human", "extracted", "synthetic")}
    tiles = facts(
        fact("Rows", f"{len(rows):,}", f"{len(learned):,} to learn from, {len(rows) - len(learned):,} kept aside to test on"),
        fact("Stopped", f"{len(made.binned):,}", "each with its reason, in the bin"),
        *(
            [fact("Documents", f"{report.documents_read:,}", f"{len(report.refused)} not read" if report.refused else "all of them")]
            if report.documents
            else []
        ),
    )
    writers = {who: sum(row.writer == who for row in learned) for who in {row.writer for row in learned if row.writer}}
    parts = [heading("What came of it", origin_words(origins, writers)), tiles]
    parts += [notice(f"{one.source}: {one.reason}", "", "warning") for one in report.refused[:5]]
    if len(report.refused) > 5:
        parts.append(notice(f"And {count(len(report.refused) - 5, 'more document')} not read.", "", "warning"))
    if len(rows) - len(learned) < 8:
        parts.append(
            notice("There is little to test on.", "Add more documents or examples: from eight rows on, a test says something.", "warning")
        )
    return "".join(parts)


def review_html(page: Page, file: str, origin: str = "", kind: str = "", note: str = "", opened: str = "", like: str = "") -> str:
    """The next card, or what lies in the bin. `opened`: the row that is being edited; `like`: rows like this one are shown, too."""
    if not file or not Path(file).is_file():
        return ""
    review = page.lab.look_through(file)
    if origin == "bin":
        return draw("making", "bin", review.binned()[:60], len(review.bin), note)
    waiting = review.waiting(origin, kind)
    row = next((one for one in review.rows if one.id == (opened or like)), waiting[0] if waiting else None)
    seen, steps = len(review.decided.accepted), len(review.decided.steps)
    similar = review.like(row.id) if row and like else []
    return draw("making", "card", row, len(waiting), seen, steps, note, bool(opened), similar)


def stepped(page: Page, file: str, act: str, row: str, question: str, answer: str) -> str:
    """Do one step; what is said about it."""
    review = page.lab.look_through(file)
    match act:
        case "accept":
            review.accept(row)
            return "Accepted."
        case "reject":
            review.reject(row)
            return "It lies in the bin."
        case "save":
            review.edit(row, question, answer)
            return "Saved."
        case "back":
            review.take_back(row)
            return "Taken out of the bin."
        case "undo":
            return "Taken back." if review.undo() else "There is nothing to take back."
        case _:
            return ""


def detail_html(made: Made, pick: str) -> str:
    """What stands behind a place on a map: a topic's passages and rows, or an entity's sentences."""
    what, _, name = pick.partition(" ")
    if what == "entity":
        return draw("making", "entity", name, made.graph.around(name)[:20])
    report = made.report
    topic = next((one for one in report.topics if str(one.number) == name), None) if report else None
    if topic is None:
        return ""
    ids = set(topic.passages)
    passages = [one for one in made.passages if one.id in ids][:5]
    return draw("making", "topic", topic, passages, [row for row in made.rows if row.passage_id in ids][:8])
