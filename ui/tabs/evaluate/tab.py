"""Owns the fourth tab, the home of a run: its name, the two answers, the same questions before and now, a chat, and what to do next.

Everything else that was measured is below, folded. Invariant: it shows what files say; what a person does here is done by the lab.
"""

from __future__ import annotations

import gradio as gr

from loralab.core.errors import LabError
from loralab.core.events import RunView
from loralab.lab import Lab
from ui.errors import show_errors
from ui.markup import PICK, markup
from ui.page import Page, Updates
from ui.runs.saved_report import report_file, save_on_click
from ui.shots import shots_of
from ui.tabs.evaluate import acts, measuring
from ui.tabs.evaluate.chat import Talk, chat
from ui.tabs.evaluate.draw_it import draw_it
from ui.tabs.evaluate.head import Typed
from ui.tabs.evaluate.home import Home, is_ready
from ui.tabs.evaluate.judged import Found, found_of
from ui.tabs.evaluate.more import compare_section, proof_section
from ui.tabs.evaluate.section import Section
from ui.tabs.evaluate.try_it import try_it
from ui.words import notice

AGAIN = "Measure it again, or ask a second opinion"
HOME = PICK + "lab.home(element, trigger);"


def home_markup(elem_id: str) -> gr.HTML:
    """A place for markup whose folds stay open, whose forms and keys are heard."""
    return gr.HTML("", apply_default_css=False, js_on_load=HOME, elem_id=elem_id)


def build(lab: Lab, page: Page) -> None:
    """Draw the tab and wire it."""
    work, gone = gr.State(""), gr.State(acts.NOTHING_GONE)
    result = home_markup("result")
    line = markup(elem_id="measuring")
    talk, tried, drawn = chat(page), try_it(page), draw_it(page)
    what_next, folds = home_markup("next"), home_markup("folds")
    with gr.Accordion("Against another run", open=False, visible=False, elem_classes="fold", elem_id="against") as against:
        compared = compare_section(page, talk, home_markup)
    with gr.Accordion(AGAIN, open=False, visible=False, elem_classes="fold", elem_id="measure-again") as again:
        with gr.Row(elem_classes="actions"):
            measure, stop = measuring.buttons()
        opinion, judge = measuring.judge_field()
    with gr.Accordion("Can this verdict be trusted?", open=False, visible=False, elem_classes="fold", elem_id="trust") as trust:
        proof = proof_section(page)
    save = gr.Button("Save report", visible="hidden", elem_id="save-report")
    save_on_click(save, page, report_file("report-file"), "run-head")
    parts = measuring.Measuring(work, measure, stop, judge, line)
    home = Home(lab, result, what_next, folds)

    def fill(run: str, view: RunView | None, found: Found | None) -> Updates:
        sees, draws, ready = bool(run) and lab.sees(run), bool(run) and lab.draws(run), is_ready(view)
        medical = sees and shots_of(lab, run).medical
        return {
            against: gr.Accordion(visible=bool(found)),
            again: gr.Accordion("Measure it again" if sees else AGAIN, visible=ready),
            opinion: gr.Accordion(visible=not sees),
            trust: gr.Accordion(visible=bool(found and found.detailed)),
            talk.whole: gr.Column(visible=ready and not sees),
            **tried.updates(visible=ready and sees and not draws, medical=medical),
            **drawn.updates(visible=ready and draws, trigger=lab.job(run).plan.get("trigger", "") if draws else "", medical=medical),
        }

    shown = Section([against, again, opinion, trust, talk.whole, *tried.outputs, *drawn.outputs], fill)
    sections = [home.section(), shown, measuring.section(page, parts), compared, proof]
    _wire(page, home, sections, parts, talk, gone)


def _wire(page: Page, home: Home, sections: list[Section], parts: measuring.Measuring, talk: Talk, gone: gr.State) -> None:
    outputs = [component for section in sections for component in section.outputs]

    def filled(run: str) -> Updates:
        view = page.lab.view(run) if run else None
        found = found_of(page.lab, run, view) if view and not view.active else None
        return {part: update for section in sections for part, update in section.fill(run, view, found).items()}

    @show_errors
    def shown(moment: str, left: acts.Gone) -> Updates:
        now = filled(moment.partition("/")[0])  # the run's own wire may be a moment behind
        return now | {home.result: left.said() + str(now[home.result])}

    filling = page.moment.change(shown, [page.moment, gone], outputs, show_progress="hidden")
    step = show_errors(lambda run: home.step(page, run))
    filling.then(step, page.run, home.what_next, show_progress="hidden")
    measuring.wire(page, parts, outputs, filled).then(step, page.run, home.what_next, show_progress="hidden")

    @show_errors
    def act(run: str, dataset: str, model: str, event: gr.EventData) -> Updates:
        verb, _, value = str(event.pick).partition(":")
        try:
            return acts.ACTS[verb](acts.Here(page, home, gone, run, dataset, model), value)
        except LabError as error:  # where it was asked for, not a message that goes away
            return _refused(page, home, (verb, value), run, error)

    acted = [
        home.result,
        home.what_next,
        home.folds,
        gone,
        page.run,
        page.dataset,
        page.model,
        page.pending,
        page.nudge,
        page.tabs,
        *page.form.inputs,
    ]
    clicks = [part.click for part in (home.result, home.what_next, home.folds)]
    gr.on(clicks, act, [page.run, page.dataset, page.model], acted, show_progress="hidden")


def _refused(page: Page, home: Home, act: tuple[str, str], run: str, error: LabError) -> Updates:
    """The error where the act was: under the next step, under the question that was typed, or under the name."""
    said, (verb, value) = notice(error.problem.what, error.problem.todo, "error"), act
    if verb in ("improve", "try", "cancel"):
        return {home.what_next: said + home.step(page, run)}
    view = page.lab.view(run) if run else None
    found = found_of(page.lab, run, view) if view else None
    if verb in ("own", "rename"):
        return {home.result: home.top(run, view, found, typed=Typed(verb, value, said))}
    return {home.result: home.top(run, view, found, said=said)}
