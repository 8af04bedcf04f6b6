"""Owns the second tab: which model learns, whether it fits, and every setting with its reason.

Invariant: nothing here must be touched before Start.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from typing import Any

import gradio as gr

from loralab.core.errors import UserError
from loralab.core.records import Proposal
from loralab.lab import Lab
from ui.asking import Question, question
from ui.charts import memory_bar
from ui.desk import Choice
from ui.errors import show_errors, tell
from ui.form import changes, draw, fill, read
from ui.markup import markup
from ui.page import Page, Updates, refusal, start_on_click
from ui.runs.work import follow
from ui.settings import remember
from ui.tabs.plan.downloaded import draw_cache
from ui.tabs.plan.view import can_download, download_question, fit_html, model_html
from ui.tabs.plan.weighing import Answered, Effect, Emptied, Left, Refused, Show, Traced, Weigh, Weighing, due, step
from ui.words import empty, heading

ALTERNATIVES = 2  # buttons for the nearest plans that fit
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
        asking = question("Yes, download it", "Not now")
        fetching = markup()
        draw_cache(lab, page)
    fit = markup(EMPTY, elem_id="fit")
    with gr.Row(elem_classes="actions"):
        first, second = (gr.Button(visible=False, scale=0, min_width=260, elem_classes="way") for _ in range(ALTERNATIVES))
    with gr.Column(elem_classes="card settings"):
        markup(heading("Settings", "Folded away because they are chosen for you. Each says what it does and why it has its value."))
        draw(page.form)
    with gr.Row(elem_classes="actions"):
        start = gr.Button("Start", variant="primary", scale=0, min_width=200, elem_id="start-plan")
        test = gr.Button("Test three settings first", scale=0, min_width=210, elem_id="test-first")
    refused = refusal()
    card = Card(gr.State(Weighing()), page.ticket, fit, (first, second))
    start_on_click(start, page, refused, card.state)
    start_on_click(test, page, refused, card.state, test_first=True)
    _wire_model(page, Model(about, offer, want, asking, fetching))
    _wire(page, card)


@dataclass(frozen=True)
class Model:
    """What there is to say about the chosen model, and fetching it."""

    about: gr.HTML
    offer: gr.Row
    want: gr.Button
    asking: Question
    fetching: gr.HTML


@dataclass(frozen=True)
class Card:
    """Where the plan on the screen is told of: the session's state, the plan's number that the advisor waits for, and what is seen."""

    state: gr.State
    number: gr.State
    fit: gr.HTML
    alternatives: tuple[gr.Button, ...]

    @property
    def outputs(self) -> list[Any]:
        """What `updates` may change."""
        return [self.state, self.number, self.fit, *self.alternatives]

    def updates(self, state: Weighing, effects: tuple[Effect, ...]) -> Updates:
        """The state and what it shows."""
        updates: Updates = {self.state: state, self.number: state.number}
        shown = next((effect for effect in effects if isinstance(effect, Show)), None)
        if shown is None:
            return updates
        alternatives = shown.proposal.alternatives if shown.proposal else ()
        buttons = [gr.Button(value=f"Use {plan.words}", visible=True) for plan in alternatives[: len(self.alternatives)]]
        updates |= dict(zip_longest(self.alternatives, buttons, fillvalue=gr.Button(visible=False)))
        return updates | {self.fit: fit_html(shown.proposal, memory_bar(shown.proposal.footprint)) if shown.proposal else EMPTY}


def _wire(page: Page, card: Card) -> None:
    """Every change goes through `weighing.step`; the state is the session's, the answer of a trace lies beside it until it is heard."""
    traced = gr.State(Traced())

    @show_errors
    def propose(dataset: str, model: str, goal: str, pending: dict[str, Any]) -> Updates:
        if not dataset:
            return {**card.updates(*step(Weighing(), Emptied())), page.pending: {}}
        proposal = page.desk.propose(dataset, model, goal, pending)
        # what is not asked of a form: the inputs that are filled give their values back in other types
        answered = _answered(page, proposal, model, asked="")
        filled = fill(page.form, proposal.plan, proposal.reasons)
        return {**card.updates(*step(Weighing(), answered)), page.pending: {}, **filled}

    @show_errors
    def weigh(now: Weighing, dataset: str, model: str, goal: str, *raw: Any) -> Updates:
        return card.updates(*_weighed(page, now, (dataset, model, goal), raw))

    @show_errors
    def trace(now: Weighing, dataset: str, model: str, goal: str) -> Traced:
        if not due(now) or now.proposal is None:
            return Traced()
        return Traced(now.number, page.lab.trace(now.proposal, page.desk.profile(dataset, model, goal)))

    def hear(now: Weighing, answer: Traced) -> Updates:
        after, effects = step(now, answer)
        heard = card.updates(after, effects)
        del heard[card.number]  # the plan is the same
        return heard if after != now else gr.skip()

    choice = [page.dataset, page.model, page.goal]

    def then_trace(event: Any) -> None:
        # a change while a trace is under way is traced after it: by default Gradio would drop the second question, not the first
        finer = event.success(trace, [card.state, *choice], traced, show_progress="hidden", trigger_mode="always_last")
        seen = [part for part in card.outputs if part is not card.number]
        finer.success(hear, [card.state, traced], seen, show_progress="hidden", trigger_mode="multiple")

    first = [*card.outputs, page.pending, *page.form.inputs]
    then_trace(page.choice.change(propose, [*choice, page.pending], first, show_progress="hidden"))
    asking = [card.state, *choice, *page.form.inputs]
    then_trace(page.nudge.change(weigh, asking, card.outputs, show_progress="hidden"))
    for at, button in enumerate(card.alternatives):
        used = button.click(partial(_use, page, at), card.state, [page.model, *page.form.inputs], show_progress="hidden")
        then_trace(used.then(weigh, asking, card.outputs, show_progress="hidden"))
    for done in changes(page.form):
        then_trace(done(weigh, asking, card.outputs, show_progress="hidden"))


def _wire_model(page: Page, parts: Model) -> None:
    @show_errors
    def describe(model: str) -> Updates:
        check = page.lab.check_model(model)
        remember(page.lab.home, {"model": model})
        offer = gr.Row(visible=can_download(check))
        return {parts.about: model_html(check), parts.offer: offer, parts.asking.column: parts.asking.hide()}

    @show_errors
    def ask(model: str) -> Updates:
        check = page.lab.check_model(model, ask_hub=True)
        possible = can_download(check)
        said = download_question(check) if possible else model_html(check)
        return {**parts.asking.ask(said), parts.offer: gr.Row(visible=False), parts.asking.yes: gr.Button(visible=possible)}

    @show_errors
    def fetch(model: str) -> Iterator[str]:
        yield from follow(page.lab, page.lab.download(model), "Downloading")

    asking, about = parts.asking, [parts.about, parts.offer, parts.asking.column]
    gr.on([page.model.change], describe, page.model, about, show_progress="hidden")
    parts.want.click(ask, page.model, [asking.words, asking.column, parts.offer, asking.yes])
    asking.no.click(describe, page.model, about)
    hidden = asking.yes.click(asking.hide, None, asking.column)
    hidden.then(fetch, page.model, parts.fetching, show_progress="hidden").then(describe, page.model, about)


def _weighed(page: Page, now: Weighing, choice: Choice, raw: tuple[Any, ...]) -> tuple[Weighing, tuple[Effect, ...]]:
    """The state after a form was left, and what is to be done; nothing new where an input was only entered and left."""
    asked = str((choice, raw))
    left, effects = step(now, Left(asked)) if choice[0] else step(now, Emptied())
    if Weigh() not in effects:
        return left, effects
    try:
        return step(left, _answered(page, page.desk.weigh(*choice, read(page.form, raw)), choice[1], asked))
    except UserError as error:  # said once, not again when the input is left
        tell("weigh", error)
        return step(left, Refused(asked))


def _answered(page: Page, proposal: Proposal, model: str, asked: str) -> Answered:
    return Answered(time.time_ns(), asked, proposal, page.lab.check_model(model).present)


def _use(page: Page, at: int, state: Weighing) -> Updates:
    """Put one of the nearest plans into the form; a setting it does not change stays."""
    alternatives = state.proposal.alternatives if state.proposal else ()
    settings = alternatives[at].settings if at < len(alternatives) else {}
    model = {page.model: settings["base_model"]} if "base_model" in settings else {}
    return {**model, **page.form.updates(settings)} or gr.skip()
