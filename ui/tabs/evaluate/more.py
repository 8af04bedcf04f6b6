"""Owns the sections around a verdict: against another run, the controls of the verdict, and the report to keep.

Invariant: a control that is at work goes on without the page; pressing again finds it.
"""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr

from loralab.core.errors import LabError, RunFailed
from loralab.core.events import RunView
from loralab.core.jobs import is_control
from loralab.core.records import Score
from loralab.lab import Comparison, Controls, Lab
from ui.errors import show_errors
from ui.markup import draw, markup
from ui.page import Page, Updates
from ui.runs.saved_report import report_file, save_on_click
from ui.runs.work import follow
from ui.tabs.evaluate.intervals import between, interval_bar, two_runs, value
from ui.tabs.evaluate.judged import Found, other_judged, parts_of_run
from ui.tabs.evaluate.measuring import measured_first
from ui.tabs.evaluate.section import Section
from ui.words import count, duration, heading, notice, paragraph, term

ALONE = "There is no other run that was tested. Train once more, with other settings or other examples, and compare here."
ALONE_HTML = paragraph(ALONE, "fine")
SIDES = ("first is better", "second is better")
REPORTS = {"html": "as a web page", "markdown": "as Markdown"}
CONTROLS = (
    "A test that calls everything better is worth nothing. So the test itself is tested where there is nothing to find: first before and "
    "after are swapped at random, then a copy of the run learns from shuffled answers. Neither may come out as better."
)


def until_done(lab: Lab, work: str, doing: str) -> Iterator[str]:
    """Progress lines of a piece of work; that somebody stopped it is told, not raised."""
    try:
        yield from follow(lab, work, doing)
    except RunFailed:
        ending = lab.view(work).ending
        if ending is None or ending.outcome != "stopped":
            raise
        yield notice(ending.what, ending.todo)


# ---- against another run ---------------------------------------------------------------------------------------------------


def compare_section(page: Page) -> Section:
    """A choice of the other tested runs and of this run's checkpoints and exports, and what comes out."""
    with gr.Column(visible=False, elem_classes="card") as whole:
        markup(
            heading(
                "Against something else",
                "Another run, a checkpoint or an export: on the examples both were tested on and neither learned from.",
            )
        )
        other = gr.Dropdown([], label="Compare with", elem_id="other-run")
        alone = markup(ALONE_HTML)
        result = markup(elem_id="comparison")

    @show_errors
    def compared(run: str, other: str | None) -> Iterator[str]:
        yield ""
        if not run or not other:
            return
        try:
            yield from measured_first(page.lab, other, "Measuring it on the same examples")  # goes on without the page
            yield comparison_html(page.lab.compare(other, run), other, run)
        except LabError as error:  # a reason to read where one looks, not a warning that goes away
            yield notice(error.problem.what, error.problem.todo, "warning")

    def fill(run: str, view: RunView | None, found: Found | None) -> Updates:
        others = [*other_judged(page.lab, run), *parts_of_run(page.lab, run)] if found and found.detailed else []
        return {
            whole: gr.Column(visible=found is not None and view is not None and not view.active),
            other: gr.Dropdown(others, value=None, visible=bool(others)),
            alone: "" if others else ALONE_HTML,
            result: "",
        }

    other.input(compared, [page.run, other], result, show_progress="minimal")
    return Section([whole, other, alone, result], fill)


def comparison_html(found: Comparison, first: str, second: str) -> str:
    """The sentence, each number with its interval, and every example as a dot."""
    picture = two_runs(found.rows, "the first", "the second")
    return draw("evaluate", "comparison", found.words, first, second, [_side_by_side(score) for score in found.scores], picture)


def _side_by_side(score: Score) -> str:
    sure = f"95 % {term('interval')} {between(score) or 'unknown'}. On {count(score.n, 'example')}."
    note = f"{value(score, score.difference, '+')}, {sure}"
    sides = value(score, score.before), value(score, score.after)
    return draw("evaluate", "side_by_side", score.label, *sides, interval_bar(score, SIDES), note)


# ---- the controls ----------------------------------------------------------------------------------------------------------


def proof_section(page: Page) -> Section:
    """The button “Prove it” and what the controls found."""
    work = gr.State("")
    with gr.Column(visible=False, elem_classes="card") as whole:
        markup(heading("Can this verdict be trusted?", CONTROLS))
        cost = markup()
        with gr.Row(elem_classes="actions"):
            prove = gr.Button("Prove it", scale=0, min_width=170)
            stop = gr.Button("Stop", scale=0, min_width=110, visible=False)
        progress = markup()
        result = markup(elem_id="controls")

    @show_errors
    def proven(run: str) -> Iterator[Updates]:
        found = page.lab.controls(run)
        control = _control(page.lab, run, found)
        yield {work: control, progress: "", result: controls_html(found), stop: gr.Button(visible=not found.shuffled_verdict)}
        for line in until_done(page.lab, control, "Learning from shuffled answers"):
            yield {work: control, progress: line}

    @show_errors
    def ended(run: str, control: str) -> Updates:
        about = is_control(page.lab.job(control), run) if control else False  # another run may be looked at by then
        found = {result: controls_html(page.lab.controls(run))} if about else {}
        return {work: "", stop: gr.Button(visible=False), **found}

    def fill(_run: str, view: RunView | None, found: Found | None) -> Updates:
        shown = found is not None and found.detailed and view is not None and not view.active
        took = duration(view.ended - view.started) if view and view.ended and view.started else ""
        words = f"The first takes a moment. The second takes about as long as the run did ({took})."
        updates: Updates = {whole: gr.Column(visible=shown), cost: paragraph(words, "fine") if took else ""}
        return updates | {progress: "", result: "", stop: gr.Button(visible=False)}

    proving = prove.click(proven, page.run, [work, progress, result, stop], show_progress="hidden", trigger_mode="once")
    proving.then(ended, [page.run, work], [work, result, stop], show_progress="hidden")
    stop.click(show_errors(lambda control: page.lab.stop(control) if control else None), work, None)
    return Section([whole, cost, progress, result, stop], fill)


def _control(lab: Lab, run: str, found: Controls) -> str:
    """The run on shuffled answers: the one there is, going on where it was stopped, or a new one."""
    if not found.shuffled:
        return lab.prove(run)
    view = lab.view(found.shuffled)
    if found.shuffled_verdict or view.active:
        return found.shuffled
    return lab.resume(found.shuffled) if view.state in ("stopped", "killed") else lab.prove(run)


def controls_html(found: Controls) -> str:
    """What both controls found, each as passed or not."""
    first, _, second = found.words.partition(" Trained on shuffled answers")
    kinds = ("good" if found.swaps_pass else "error", "error" if found.shuffled_verdict == "better" else "good")
    said = notice(first, "", kinds[0])
    return said + (notice(f"Trained on shuffled answers{second}", "", kinds[1]) if second else "")


# ---- the report ------------------------------------------------------------------------------------------------------------


def report_buttons(page: Page) -> None:
    """Two buttons that save the report."""
    buttons = {kind: gr.Button(f"Save the report {name}", scale=0, min_width=170) for kind, name in REPORTS.items()}
    file = report_file("report-file")
    for kind, button in buttons.items():
        save_on_click(button, page, file, kind)
