"""Owns the second tab: which model learns, whether it fits, and every setting with its reason.

Invariant: nothing here must be touched before Start.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import gradio as gr

from loralab.core.errors import UserError
from loralab.core.records import Proposal
from loralab.lab import Lab, drawing_entry, vision_entry
from ui.asking import Question, question
from ui.charts import memory_bar
from ui.desk import Choice
from ui.errors import show_errors_at
from ui.form import marked
from ui.forms import setting_of
from ui.goals import of_pictures
from ui.markup import markup
from ui.page import Page, Updates, refusal, start_on_click
from ui.runs.work import follow
from ui.settings import remember
from ui.tabs.plan.cards import cards_html
from ui.tabs.plan.downloaded import draw_cache
from ui.tabs.plan.view import can_download, can_start, download_question, fetch_words, fit_html, held_html, model_html, seeing_html
from ui.tabs.plan.weighing import Answered, Effect, Emptied, Hold, Left, Refused, Show, Traced, Weigh, Weighing, due, step
from ui.words import count, empty, heading

DROP_MODEL = "A model of your own in one file (.gguf)"
ALTERNATIVES = 2  # buttons for the nearest plans that fit
EMPTY = empty("No examples yet", "Choose a file or a sample on the first page. The plan is made for them and for this computer.")


def build(lab: Lab, page: Page) -> None:
    """Draw the tab and wire it."""
    markup(heading("The plan", "Made for your examples and this computer. Change what you like; everything has a sensible value."))
    with gr.Column(elem_classes="card"):
        check = lab.check_model(str(page.model.value))
        seeing = markup(elem_id="model-that-sees")
        cards = markup(cards_html(lab.model_choices(), check.name), elem_id="model-cards")
        page.model.render()
        with gr.Column() as dropping, gr.Accordion(DROP_MODEL, open=False, elem_classes="fold"):
            file = gr.File(label="Drop the model here", file_count="single", height=110, elem_id="drop-model", elem_classes="drop")
        about = markup(model_html(check), elem_id="about-model")
        with gr.Row(visible=can_download(check), elem_classes="actions") as offer:
            want = gr.Button(fetch_words(check), scale=0, min_width=250, elem_id="get-model")
        asking = question("Yes, download it", "Not now")
        fetching = markup(elem_id="fetching")
        draw_cache(lab, page)
    fit = markup(EMPTY, elem_id="fit")
    with gr.Row(elem_classes="actions"):
        first, second = (gr.Button(visible=False, scale=0, min_width=260, elem_classes="way") for _ in range(ALTERNATIVES))
    with gr.Column(elem_classes="card settings"):
        markup(heading("Settings", "Folded away because they are chosen for you. Each says what it does and why it has its value."))
        page.form.draw()
    with gr.Row(elem_classes="actions"):
        start = gr.Button("Start", variant="primary", scale=0, min_width=200, elem_id="start-plan", interactive=False)
        test = gr.Button("Test three settings first", scale=0, min_width=210, elem_id="test-first", interactive=False)
    refused = refusal()
    card = Card(gr.State(Weighing()), page.ticket, fit, page.quick, (first, second), marked(), (start, test))
    start_on_click(start, page, refused, card.state)
    start_on_click(test, page, refused, card.state, test_first=True)
    _wire_model(page, Model(cards, file, about, offer, want, asking, fetching))
    _wire(page, card, Models(cards, about, offer, dropping, seeing, test))


@dataclass(frozen=True)
class Model:
    """What there is to say about the chosen model, and fetching it."""

    cards: gr.HTML
    file: gr.File
    about: gr.HTML
    offer: gr.Row
    want: gr.Button
    asking: Question
    fetching: gr.HTML


@dataclass(frozen=True)
class Models:
    """What is shown of models, which depends on what is learned from: those that speak, or those that see."""

    cards: gr.HTML
    about: gr.HTML
    offer: gr.Row
    dropping: gr.Column  # of a language model in one file
    seeing: gr.HTML
    test: gr.Button  # short tests of settings

    @property
    def outputs(self) -> list[Any]:
        """What `updates` may change, beside what starts."""
        return [self.cards, self.about, self.offer, self.dropping, self.seeing]

    def updates(self, page: Page, proposal: Proposal, choice: Choice) -> Updates:
        """All of it, for a plan."""
        profile = page.desk.profile(*choice)
        sees, check = of_pictures(profile), page.lab.check_model(page.desk.learner(*choice))
        draws = profile.task == "draw"
        return {
            self.cards: _cards(page, *choice),
            self.about: model_html(check),
            self.offer: gr.Row(visible=can_download(check)),
            self.dropping: gr.Column(visible=not sees),
            self.seeing: seeing_html(str(proposal.plan.get("base_model", ""))) if sees else "",
            self.test: gr.Button(visible=not draws, interactive=can_start(proposal)),
        }


@dataclass(frozen=True)
class Card:
    """Where the plan on the screen is told of: the session's state, the plan's number that the advisor waits for, and what is seen."""

    state: gr.State
    number: gr.State
    fit: gr.HTML
    quick: gr.Button
    alternatives: tuple[gr.Button, ...]
    marks: gr.HTML  # on the fields of the form
    starts: tuple[gr.Button, ...]

    @property
    def outputs(self) -> list[Any]:
        """What `updates` may change."""
        return [self.state, self.number, self.fit, self.quick, *self.alternatives, *self.starts]

    def updates(self, state: Weighing, effects: tuple[Effect, ...]) -> Updates:
        """The state and what it shows."""
        updates: Updates = {self.state: state, self.number: state.number}
        if held := next((effect for effect in effects if isinstance(effect, Hold)), None):
            bar = memory_bar(held.proposal.footprint) if held.proposal else ""
            updates |= {self.fit: held_html(held.proposal, bar, held.why)}
            return updates | dict.fromkeys(self.starts, gr.Button(interactive=False))
        shown = next((effect for effect in effects if isinstance(effect, Show)), None)
        if shown is None:
            return updates
        alternatives = shown.proposal.alternatives if shown.proposal else ()
        buttons = [gr.Button(value=f"Use {plan.words}", visible=True) for plan in alternatives[: len(self.alternatives)]]
        updates |= dict(zip_longest(self.alternatives, buttons, fillvalue=gr.Button(visible=False)))
        look = shown.proposal.quick_look if shown.proposal else None
        updates[self.quick] = gr.Button(value=look.words, visible=True) if look else gr.Button(visible=False)
        updates |= dict.fromkeys(self.starts, gr.Button(interactive=shown.proposal is not None and can_start(shown.proposal)))
        return updates | {self.fit: fit_html(shown.proposal, memory_bar(shown.proposal.footprint)) if shown.proposal else EMPTY}

    def hear(self, now: Weighing, answer: Traced) -> Updates:
        """What a trace said of the plan on the screen."""
        after, effects = step(now, answer)
        heard = self.updates(after, effects)
        del heard[self.number]  # the plan is the same
        return heard if after != now else gr.skip()


def _wire(page: Page, card: Card, models: Models) -> None:
    """Every change goes through `weighing.step`; the state is the session's, the answer of a trace lies beside it until it is heard."""
    traced = gr.State(Traced())

    @show_errors_at("fit")
    def propose(chosen: str, pending: dict[str, Any]) -> Updates:
        if not chosen:
            return {**card.updates(*step(Weighing(), Emptied())), page.pending: {}, card.marks: ""}
        dataset, model, goal = chosen.split("\n")[:3]
        proposal = page.desk.propose(dataset, model, goal, pending)
        # what is not asked of a form: the inputs that are filled give their values back in other types
        answered = _answered(page, proposal, model, asked="")
        filled = page.form.fill(proposal.plan, proposal.reasons)
        around = {page.pending: {}, card.marks: "", **models.updates(page, proposal, (dataset, model, goal))}
        return {**card.updates(*step(Weighing(), answered)), **around, **filled}

    @show_errors_at("fit")
    def weigh(now: Weighing, dataset: str, model: str, goal: str, *raw: Any) -> Updates:
        proposed = page.desk.proposed(dataset, model, goal)
        return {**card.updates(*_weighed(page, now, (dataset, model, goal), raw)), card.marks: page.form.marks(raw, proposed)}

    @show_errors_at("fit")
    def trace(now: Weighing, dataset: str, model: str, goal: str) -> Traced:
        if not due(now) or now.proposal is None:
            return Traced()
        return Traced(now.number, page.lab.trace(now.proposal, page.desk.profile(dataset, model, goal)))

    choice = [page.dataset, page.model, page.goal]

    def then_trace(event: Any) -> None:
        # a change while a trace is under way is traced after it: by default Gradio would drop the second question, not the first
        finer = event.success(trace, [card.state, *choice], traced, show_progress="hidden", trigger_mode="always_last")
        seen = [part for part in card.outputs if part is not card.number]
        finer.success(card.hear, [card.state, traced], seen, show_progress="hidden", trigger_mode="multiple")

    first = [*card.outputs, page.pending, card.marks, *models.outputs, *page.form.inputs, *page.form.columns]
    then_trace(page.choice.change(propose, [page.choice, page.pending], first, show_progress="hidden"))
    asking, weighed = [card.state, *choice, *page.form.inputs], [*card.outputs, card.marks]
    then_trace(page.nudge.change(weigh, asking, weighed, show_progress="hidden"))
    for at, button in enumerate(card.alternatives):
        used = button.click(partial(_use, page, at), card.state, [page.model, *page.form.inputs], show_progress="hidden")
        then_trace(used.then(weigh, asking, weighed, show_progress="hidden"))
    for done in page.form.changes():
        then_trace(done(weigh, asking, weighed, show_progress="hidden"))
    then_trace(_wire_reset(page, card))


def _wire_reset(page: Page, card: Card) -> Any:
    @show_errors_at("fit")
    def reset(now: Weighing, dataset: str, model: str, goal: str, event: gr.EventData, *raw: Any) -> Updates:
        """One setting as it was proposed, and the plan weighed with it in the same step."""
        proposed = page.desk.proposed(dataset, model, goal)
        name = setting_of(str(event.pick))
        if proposed.get(name) is None:
            return gr.skip()
        changed = page.form.updates({name: proposed[name], "task": proposed.get("task")})
        form = tuple(changed.get(part, value) for part, value in zip(page.form.inputs, raw, strict=True))
        weighed = card.updates(*_weighed(page, now, (dataset, model, goal), form))
        return {**changed, **weighed, card.marks: page.form.marks(form, proposed)}

    asked = [card.state, page.dataset, page.model, page.goal, *page.form.inputs]
    return card.marks.click(reset, asked, [*page.form.inputs, *card.outputs, card.marks], show_progress="hidden")


def _wire_model(page: Page, parts: Model) -> None:
    @show_errors_at("about-model")
    def describe(dataset: str, model: str, goal: str) -> Updates:
        check = page.lab.check_model(_learner(page, dataset, model, goal))
        remember(page.lab.home, {"model": model})
        offer = {parts.offer: gr.Row(visible=can_download(check)), parts.want: gr.Button(fetch_words(check))}
        shown = {parts.cards: _cards(page, dataset, model, goal), parts.about: model_html(check)}
        return {**shown, **offer, parts.asking.column: parts.asking.hide()}

    @show_errors_at("get-model")
    def ask(model: str) -> Updates:
        check = page.lab.check_model(model, ask_hub=True)
        possible = can_download(check)
        said = download_question(check) if possible else model_html(check)
        return {**parts.asking.ask(said), parts.offer: gr.Row(visible=False), parts.asking.yes: gr.Button(visible=possible)}

    @show_errors_at("fetching")
    def fetch(model: str) -> Iterator[str]:
        yield from follow(page.lab, page.lab.download(model), "Downloading")

    @show_errors_at("model-cards")
    def take(event: gr.EventData) -> Any:
        known = page.lab.catalog.entry(event.pick) or vision_entry(event.pick) or drawing_entry(event.pick)
        return event.pick if known else gr.skip()

    @show_errors_at("drop-model")
    def dropped(file: str | None) -> list[Any]:
        return [str(page.lab.catalog.take_file(Path(file))), None] if file else [gr.skip(), gr.skip()]

    asking, chosen = parts.asking, [page.dataset, page.model, page.goal]
    about = [parts.cards, parts.about, parts.offer, parts.want, parts.asking.column]
    parts.cards.click(take, None, page.model, show_progress="hidden")
    parts.file.upload(dropped, parts.file, [page.model, parts.file])
    described = gr.on([page.model.change], describe, chosen, about, show_progress="hidden")
    described.then(None, None, None, js="() => fields.tied('model', 'about-model')")
    parts.want.click(ask, page.model, [asking.words, asking.column, parts.offer, asking.yes])
    asking.no.click(describe, chosen, about)
    hidden = asking.yes.click(asking.hide, None, asking.column)
    hidden.then(fetch, page.model, parts.fetching, show_progress="hidden").then(describe, chosen, about)


def _cards(page: Page, dataset: str, model: str, goal: str) -> str:
    """The cards for what is on the screen; without minutes where there are no examples."""
    try:
        profile = page.desk.profile(dataset, model, goal) if dataset else None
    except UserError:  # the first page says what is wrong with the examples
        profile = None
    return cards_html(page.lab.model_choices(profile), _learner(page, dataset, model, goal))


def _learner(page: Page, dataset: str, model: str, goal: str) -> str:
    """The model that learns from what is on the screen; what stands in the field where nothing is."""
    try:
        return page.desk.learner(dataset, model, goal) if dataset else model
    except UserError:
        return model


def _weighed(page: Page, now: Weighing, choice: Choice, raw: tuple[Any, ...]) -> tuple[Weighing, tuple[Effect, ...]]:
    """The state after a form was left, and what is to be done; nothing new where an input was only entered and left."""
    asked = str((choice, raw))
    left, effects = step(now, Left(asked)) if choice[0] else step(now, Emptied())
    if Weigh() not in effects:
        return left, effects
    if bad := len(page.form.wrong(raw)):
        return step(left, Refused(asked, f"Waiting for {count(bad, 'field')}: what is marked red below cannot be so."))
    try:
        return step(left, _answered(page, page.desk.weigh(*choice, page.form.read(raw)), choice[1], asked))
    except UserError as error:
        return step(left, Refused(asked, str(error)))


def _answered(page: Page, proposal: Proposal, model: str, asked: str) -> Answered:
    here = (
        "image_size" not in proposal.plan and page.lab.check_model(model).present
    )  # what sees is counted by its sizes, and needs no trace
    return Answered(time.time_ns(), asked, proposal, here)


def _use(page: Page, at: int, state: Weighing) -> Updates:
    """Put one of the nearest plans into the form; a setting it does not change stays."""
    alternatives = state.proposal.alternatives if state.proposal else ()
    settings = alternatives[at].settings if at < len(alternatives) else {}
    model = {page.model: settings["base_model"]} if "base_model" in settings else {}
    return {**model, **page.form.updates(settings)} or gr.skip()
