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
from ui.desk import Choice
from ui.errors import tell, told
from ui.form import changes, draw, fill, read
from ui.markup import markup
from ui.page import Page, refusal, start_on_click
from ui.runs.work import follow
from ui.settings import remember
from ui.tabs.plan.downloaded import draw_cache
from ui.tabs.plan.view import can_download, download_question, fit_html, model_html
from ui.tabs.plan.weighing import Answered, Effect, Emptied, Left, Refused, Show, Traced, Weigh, Weighing, due, step
from ui.words import empty, heading

WAYS = 2  # buttons for the nearest plans that fit
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
        first, second = (gr.Button(visible=False, scale=0, min_width=260, elem_classes="way") for _ in range(WAYS))
    with gr.Column(elem_classes="card settings"):
        markup(heading("Settings", "Folded away because they are chosen for you. Each says what it does and why it has its value."))
        draw(page.form)
    with gr.Row(elem_classes="actions"):
        start = gr.Button("Start", variant="primary", scale=0, min_width=200, elem_id="start-plan")
        test = gr.Button("Test three settings first", scale=0, min_width=210, elem_id="test-first")
    refused = refusal()
    state = gr.State(Weighing())
    start_on_click(start, page, refused, state)
    start_on_click(test, page, refused, state, test_first=True)
    _wire(
        page,
        {
            "state": state,
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
    """Every change goes through `weighing.step`; the state is the session's, the answer of a trace lies beside it until it is heard."""
    _wire_model(page, parts)
    state, traced = parts["state"], gr.State(Traced())

    @told
    def propose(dataset: str, model: str, goal: str, pending: dict[str, Any]) -> list[Any]:
        if not dataset:
            return [*_shown(*step(Weighing(), Emptied())), {}, *[gr.skip()] * len(page.form.names)]
        proposal = page.desk.propose(dataset, model, goal, pending)
        # what is not asked of a form: the inputs that are filled give their values back in other types
        answered = _answered(page, proposal, model, asked="")
        return [*_shown(*step(Weighing(), answered)), {}, *fill(page.form, proposal.plan, proposal.reasons)]

    @told
    def weigh(now: Weighing, dataset: str, model: str, goal: str, *raw: Any) -> list[Any]:
        return _shown(*_weighed(page, now, (dataset, model, goal), raw))

    @told
    def trace(now: Weighing, dataset: str, model: str, goal: str) -> Traced:
        if not due(now) or now.proposal is None:
            return Traced()
        return Traced(now.number, page.lab.trace(now.proposal, page.desk.profile(dataset, model, goal)))

    def hear(now: Weighing, answer: Traced) -> list[Any]:
        after, effects = step(now, answer)
        _, _, *shown = _shown(after, tuple(effect for effect in effects if isinstance(effect, Show)))
        return [gr.skip() if after == now else after, *shown]

    choice = [page.dataset, page.model, page.goal]
    card = [parts["fit"], *parts["ways"]]
    shown = [state, page.ticket, *card]

    def then_trace(event: Any) -> None:
        # a change while a trace is under way is traced after it: by default Gradio would drop the second question, not the first
        finer = event.success(trace, [state, *choice], traced, show_progress="hidden", trigger_mode="always_last")
        finer.success(hear, [state, traced], [state, *card], show_progress="hidden", trigger_mode="multiple")

    first = [*shown, page.pending, *page.form.inputs]
    then_trace(page.choice.change(propose, [*choice, page.pending], first, show_progress="hidden"))
    asking = [state, *choice, *page.form.inputs]
    then_trace(page.nudge.change(weigh, asking, shown, show_progress="hidden"))
    for at, button in enumerate(parts["ways"]):
        used = button.click(partial(_use, page, at), state, [page.model, *page.form.inputs], show_progress="hidden")
        then_trace(used.then(weigh, asking, shown, show_progress="hidden"))
    for done in changes(page.form):
        then_trace(done(weigh, asking, shown, show_progress="hidden"))


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


def _shown(state: Weighing, effects: tuple[Effect, ...]) -> list[Any]:
    """Updates for the state, the plan's number that the advisor waits for, the card and the buttons of the plans that fit."""
    shown = next((effect for effect in effects if isinstance(effect, Show)), None)
    if shown is None:
        return [state, state.number, gr.skip(), gr.skip(), gr.skip()]
    words = [f"Use {way.words}" for way in shown.proposal.alternatives] if shown.proposal else []
    buttons = [gr.Button(value=word, visible=True) for word in words]
    card = _fit(shown.proposal) if shown.proposal else EMPTY
    return [state, state.number, card, *buttons, *[gr.Button(visible=False)] * (WAYS - len(words))]


def _use(page: Page, at: int, state: Weighing) -> list[Any]:
    """Put one of the nearest plans into the form; a setting it does not change stays."""
    ways = state.proposal.alternatives if state.proposal else ()
    way = ways[at].settings if at < len(ways) else {}
    return [way.get("base_model", gr.skip()), *(way.get(name, gr.skip()) for name in page.form.names)]


def _fit(proposal: Proposal) -> str:
    return fit_html(proposal, memory_bar(proposal.footprint))
