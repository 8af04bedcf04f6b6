"""Owns “Start from a template”: cards found by describing a task, what one holds, and a template taken in from a file.

Invariants: a template fills in what a person could have chosen, and nothing begins by itself; a file that is no template is refused in
words, and nothing is kept of it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr

from loralab.core.errors import UserError
from loralab.lab import Template
from ui import goals
from ui.errors import show_errors_at
from ui.markup import draw, markup
from ui.page import Page, Updates
from ui.words import count, notice, small_title

LABEL, LEAD = "What should it do?", "Say it in your own words, or look through them. Each comes with examples to try it with."
FOR_INSTANCE = "sort customer e-mails by topic · Kundenmails nach Thema sortieren"
SHOWN, CELL = 3, 160  # rows and characters of one that are shown
DOCUMENTS = "field "  # before the name of a domain, in what a card says was clicked


class Fields(NamedTuple):
    """What a card of a field opens: the panel with the documents."""

    show: Any  # (name of the domain) -> Updates
    outputs: list[Any]


def templates_box(page: Page, fields: Fields) -> None:
    """Draw it, closed, and wire it."""
    with gr.Accordion("Start from a template", open=False, elem_classes="fold", elem_id="templates-fold"):
        asked = gr.Textbox(label=LABEL, info=LEAD, placeholder=FOR_INSTANCE, max_length=200, elem_id="template-words")
        cards = markup(lambda: cards_html(page, ""), elem_id="templates")
        with gr.Column(visible=False, elem_classes="card template", elem_id="template") as panel:
            told = markup(elem_id="template-told")
            with gr.Row(elem_classes="actions"):
                take = gr.Button("Try it with its examples", variant="primary", scale=0, min_width=220, elem_id="template-try")
                mine = gr.Button("Use it with my own file", scale=0, min_width=210, elem_id="template-mine")
                drop = gr.Button("Take it away", scale=0, min_width=130, visible=False, elem_classes="quiet", elem_id="template-remove")
            said = markup(elem_id="template-said")
        markup(small_title("Or drop a template that somebody gave you"))
        file = gr.File(label="Drop a template that somebody gave you", height=150, elem_id="template-file", elem_classes="drop")
    chosen = gr.State("")
    parts = Parts(cards, panel, told, said, chosen, take, drop)
    _wire_cards(page, asked, parts, fields)
    _wire_one(page, parts, mine)
    _wire_file(page, parts, file)


class Parts(NamedTuple):
    """The list, and what is shown of the one that was clicked."""

    cards: gr.HTML
    panel: gr.Column
    told: gr.HTML
    said: gr.HTML
    chosen: gr.State
    take: gr.Button
    drop: gr.Button

    def shown(self, one: Template) -> Updates:
        """All that a template says."""
        return {
            self.panel: gr.Column(visible=True),
            self.told: template_html(one),
            self.said: "",
            self.chosen: one.name,
            self.take: gr.Button(visible=bool(one.data)),
            self.drop: gr.Button(visible=one.own),
        }


def _wire_cards(page: Page, asked: gr.Textbox, parts: Parts, fields: Fields) -> None:
    @show_errors_at("templates")
    def choose(event: gr.EventData) -> Updates:
        """A template is shown below the cards; a field opens the way from documents."""
        name = str(event.pick)
        if name.startswith(DOCUMENTS):
            return {parts.panel: gr.Column(visible=False), **fields.show(name.removeprefix(DOCUMENTS))}
        return parts.shown(page.lab.template(name))

    def find(words: str) -> Updates:
        return {parts.cards: cards_html(page, words), parts.panel: gr.Column(visible=False)}

    parts.cards.click(choose, None, [*parts, *fields.outputs], show_progress="hidden").then(
        None,
        None,
        None,
        js="() => document.querySelector('#template, #way-documents')?.scrollIntoView({block: 'nearest', behavior: 'smooth'})",
    )
    asked.input(find, asked, [parts.cards, parts.panel], show_progress="hidden", trigger_mode="always_last")


def _wire_one(page: Page, parts: Parts, mine: gr.Button) -> None:
    @show_errors_at("template-try")
    def take(name: str) -> Updates:
        """Its examples, read as it says, with its model and its plan."""
        one = page.lab.template(name)
        if one.recipe.roles:
            page.desk.profile(one.data, one.recipe.model, roles=one.recipe.roles)
        goal = goals.fitting(page.desk.profile(one.data, one.recipe.model))
        return {page.dataset: one.data, page.goal: goal, **_planned(page, one)}

    @show_errors_at("template-mine")
    def use(name: str) -> Updates:
        one = page.lab.template(name)
        what = f"The plan of “{one.recipe.name}” is ready. Drop your own file at the top of this page."
        return {parts.said: notice(what, one.recipe.needs, "good"), **_planned(page, one)}

    @show_errors_at("template-remove")
    def remove(name: str) -> Updates:
        page.lab.remove_template(name)
        return {parts.cards: cards_html(page, ""), parts.panel: gr.Column(visible=False)}

    changed = [page.model, page.pending]
    parts.take.click(take, parts.chosen, [page.dataset, page.goal, *changed], show_progress="hidden", trigger_mode="once")
    mine.click(use, parts.chosen, [parts.said, *changed], show_progress="hidden")
    parts.drop.click(remove, parts.chosen, [parts.cards, parts.panel], show_progress="hidden")


def _wire_file(page: Page, parts: Parts, file: gr.File) -> None:
    @show_errors_at("template-file")
    def add(uploaded: str | None) -> Updates:
        """A template somebody gave: kept, and shown at once."""
        if not uploaded:
            raise UserError("Nothing arrived.", "Choose the file again.", code="no_file")
        one = page.lab.add_template(uploaded)
        gr.Info(f"“{one.recipe.name}” is among your templates now.", title="Taken in")
        return {parts.cards: cards_html(page, ""), **parts.shown(one)}

    file.upload(add, file, list(parts), show_progress="hidden").then(lambda: None, None, file, show_progress="hidden")


def _planned(page: Page, one: Template) -> Updates:
    """The model and the settings of a template; the rest stays the planner's."""
    settings = {name: value for name, value in one.recipe.plan.items() if name != "task"}
    page.desk.note_reasons(settings, f"The template “{one.recipe.name}” says so.")
    return {page.model: one.recipe.model, page.pending: settings}


def cards_html(page: Page, words: str) -> str:
    """Those that fit, the best first; where nothing is said, also the fields with words of their own."""
    found = page.lab.templates(words)
    fields = [] if words.strip() else [(f"{DOCUMENTS}{one.name}", one.title, one.about) for one in page.lab.domains()]
    return draw("dataset", "templates", [(one.name, one.recipe, one.own, promise(one)) for one in found], fields, bool(words.strip()))


def promise(one: Template) -> str:
    """What to expect, in a line: minutes, and what it then does."""
    minutes = one.recipe.minutes
    took = f"About {count(max(1, round(minutes)), 'minute')} on a quiet computer. " if minutes else ""
    return f"{took}{one.recipe.expect}"


def template_html(one: Template) -> str:
    """All that a template says: what it needs, rows of it, what to expect, what of the plan it fixes."""
    recipe = one.recipe
    names = list(dict.fromkeys(name for row in recipe.rows for name in row))
    rows = [[row.get(name, "")[:CELL] for name in names] for row in recipe.rows[:SHOWN]]
    plan = [("Model", recipe.model), *((name.replace("_", " ").capitalize(), f"{value:g}" if isinstance(value, float) else str(value))
            for name, value in recipe.plan.items() if name != "task")]  # fmt: skip
    lines = [("Your examples", recipe.needs), ("What to expect", promise(one)), ("Examples from", recipe.credit)]
    return draw("dataset", "template", recipe, names, rows, [(what, words) for what, words in lines if words], plan)
