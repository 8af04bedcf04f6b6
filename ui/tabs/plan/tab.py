"""Owns the second tab: which model learns, whether it fits, and every setting with its reason.

Invariant: nothing here must be touched before Start.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import gradio as gr

from loralab.core.errors import UserError
from loralab.core.records import Proposal
from loralab.lab import Lab
from ui.charts import memory_bar
from ui.errors import tell, told
from ui.form import changes, draw, fill, read
from ui.markup import markup
from ui.page import Page, refusal, start_on_click
from ui.runs.work import follow
from ui.settings import remember
from ui.tabs.plan.downloaded import draw_cache
from ui.tabs.plan.view import can_download, download_question, fit_html, model_html, way_words
from ui.words import empty, heading

SAID = 5  # outputs of an answer: the card, its ticket, the plans that fit and their two buttons
EMPTY = empty("No examples yet", "Choose a file or a sample on the first page. The plan is made for them and for this computer.")


def build(lab: Lab, page: Page) -> None:
    """Draw the tab and wire it."""
    markup(heading("The plan", "Made for your examples and this computer. Change what you like; everything has a sensible value."))
    with gr.Column(elem_classes="card"):
        page.model.render()
        check = lab.check_model(str(page.model.value))
        about = markup(model_html(check), elem_id="about-model")
        with gr.Row(visible=can_download(check), elem_classes="actions") as offer:
            want = gr.Button("Download this model …", scale=0, min_width=250)
        with gr.Column(visible=False, elem_classes="asking") as asking:
            question = markup()
            with gr.Row(elem_classes="actions"):
                fetch = gr.Button("Yes, download it", variant="primary", scale=0, min_width=180)
                no = gr.Button("Not now", scale=0, min_width=120)
        fetching = markup()
        draw_cache(lab, page)
    fit = markup(EMPTY, elem_id="fit")
    with gr.Row(elem_classes="actions"):
        first, second = (gr.Button(visible=False, scale=0, min_width=260, elem_classes="way") for _ in range(2))
    with gr.Column(elem_classes="card settings"):
        markup(heading("Settings", "Folded away because they are chosen for you. Each says what it does and why it has its value."))
        draw(page.form)
    with gr.Row(elem_classes="actions"):
        start = gr.Button("Start", variant="primary", scale=0, min_width=200, elem_id="start-plan")
        test = gr.Button("Test three settings first", scale=0, min_width=210, elem_id="test-first")
    refused = refusal()
    start_on_click(start, page, refused)
    start_on_click(test, page, refused, test_first=True)
    _wire(
        page,
        {
            "about": about,
            "offer": offer,
            "want": want,
            "asking": asking,
            "question": question,
            "fetch": fetch,
            "no": no,
            "fetching": fetching,
            "fit": fit,
            "ways": [first, second],
        },
    )


def _wire(page: Page, parts: dict[str, Any]) -> None:
    _wire_model(page, parts)
    ways, traced, weighed = gr.State([]), gr.State((0, "")), gr.State("")

    @told
    def propose(dataset: str, model: str, goal: str, pending: dict[str, Any]) -> list[Any]:
        if not dataset:
            return [EMPTY, 0, [], *_no_ways(), {}, *[gr.skip()] * len(page.form.names)]
        proposal = page.desk.propose(dataset, model, goal, pending)
        return [*_answer(proposal), {}, *fill(page.form, proposal.plan, proposal.reasons)]

    @told
    def weigh(before: str, dataset: str, model: str, goal: str, *raw: Any) -> list[Any]:
        return _weighed(page, before, (dataset, model, goal), raw) if dataset else [before, EMPTY, 0, [], *_no_ways()]

    @told
    def refine(ticket: int, known: tuple[int, str], dataset: str, model: str, goal: str, *raw: Any) -> tuple[int, str]:
        if ticket == known[0]:
            return known
        if not ticket or not page.lab.check_model(model).present:
            return 0, ""
        proposal = page.desk.propose(dataset, model, goal, read(page.form, raw))
        found = page.lab.trace(proposal.plan, page.desk.profile(dataset, model, goal))
        return ticket, _fit(proposal.model_copy(update={"footprint": found}))

    def show(ticket: int, answer: tuple[int, str]) -> Any:
        return answer[1] if ticket and answer[0] == ticket else gr.skip()  # what was asked about an older plan is dropped

    choice = [page.dataset, page.model, page.goal]
    said = [parts["fit"], page.ticket, ways, *parts["ways"]]

    def then_trace(event: Any) -> None:
        # a change while a trace is under way is traced after it: by default Gradio would drop the second question, not the first
        finer = event.success(
            refine, [page.ticket, traced, *choice, *page.form.inputs], traced, show_progress="hidden", trigger_mode="always_last"
        )
        finer.then(show, [page.ticket, traced], parts["fit"], show_progress="hidden", trigger_mode="multiple")

    first = [*said, page.pending, *page.form.inputs]
    then_trace(page.choice.change(propose, [*choice, page.pending], first, show_progress="hidden"))
    asking, answered = [weighed, *choice, *page.form.inputs], [weighed, *said]
    then_trace(page.nudge.change(weigh, asking, answered, show_progress="hidden"))
    for at, button in enumerate(parts["ways"]):
        used = button.click(partial(_use, page, at), ways, [page.model, *page.form.inputs], show_progress="hidden")
        then_trace(used.then(weigh, asking, answered, show_progress="hidden"))
    for done in changes(page.form):
        then_trace(done(weigh, asking, answered, show_progress="hidden"))


def _wire_model(page: Page, parts: dict[str, Any]) -> None:
    @told
    def describe(model: str) -> tuple[str, Any, Any]:
        check = page.lab.check_model(model)
        remember(page.lab.home, {"model": model})
        return model_html(check), gr.Row(visible=can_download(check)), gr.Column(visible=False)

    @told
    def ask(model: str) -> tuple[str, Any, Any, Any]:
        check = page.lab.check_model(model, ask_hub=True)
        possible = can_download(check)
        said = download_question(check) if possible else model_html(check)
        return said, gr.Column(visible=True), gr.Row(visible=False), gr.Button(visible=possible)

    @told
    def fetch(model: str) -> Iterator[str]:
        yield from follow(page.lab, page.lab.download(model), "Downloading")

    about = [parts["about"], parts["offer"], parts["asking"]]
    gr.on([page.model.change], describe, page.model, about, show_progress="hidden")
    parts["want"].click(ask, page.model, [parts["question"], parts["asking"], parts["offer"], parts["fetch"]])
    parts["no"].click(describe, page.model, about)
    hidden = parts["fetch"].click(lambda: gr.Column(visible=False), None, parts["asking"])
    hidden.then(fetch, page.model, parts["fetching"], show_progress="hidden").then(describe, page.model, about)


def _weighed(page: Page, before: str, choice: tuple[str, str, str], raw: tuple[Any, ...]) -> list[Any]:
    """What was weighed, and the answer; nothing new where an input was only entered and left."""
    now, same = str((choice, raw)), [gr.skip()] * SAID
    if now == before:
        return [gr.skip(), *same]
    try:
        return [now, *_answer(page.desk.propose(*choice, read(page.form, raw)))]
    except UserError as error:  # said once, not again when the input is left
        tell("weigh", error)
        return [now, *same]


def _answer(proposal: Proposal) -> list[Any]:
    """The card, a new ticket for the trace that follows, and the nearest plans that fit with their buttons."""
    words = way_words(proposal)
    buttons = [gr.Button(value=word, visible=True) for word in words]
    return [_fit(proposal), time.time_ns(), [way.settings for way in proposal.ways], *buttons, *_no_ways()[len(buttons) :]]


def _no_ways() -> list[Any]:
    return [gr.Button(visible=False), gr.Button(visible=False)]


def _use(page: Page, at: int, ways: list[dict[str, Any]]) -> list[Any]:
    """Put one of the nearest plans into the form; a setting it does not change stays."""
    way = ways[at] if at < len(ways) else {}
    return [way.get("base_model", gr.skip()), *(way.get(name, gr.skip()) for name in page.form.names)]


def _fit(proposal: Proposal) -> str:
    return fit_html(proposal, memory_bar(proposal.footprint))
