"""Owns the sections below a result: against another run, and the controls of the verdict.

Invariant: a control that is at work goes on without the page; pressing again finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import gradio as gr

from loralab.core.errors import LabError, RunFailed
from loralab.core.events import RunView
from loralab.core.jobs import is_control
from loralab.core.records import Score
from loralab.lab import BothAnswers, Controls, Lab, between, different_settings, value
from ui.errors import LOG, show_errors
from ui.markup import draw, markup
from ui.page import Page, Updates
from ui.runs.run_names import run_title
from ui.runs.work import follow
from ui.tabs.evaluate.chat import Talk
from ui.tabs.evaluate.intervals import interval_bar, two_runs
from ui.tabs.evaluate.judged import Found, other_judged, part_name, parts_of_run
from ui.tabs.evaluate.measuring import measured_first
from ui.tabs.evaluate.result import SHOWN, Asked, as_wanted
from ui.tabs.evaluate.section import Section
from ui.tabs.evaluate.two_picture_runs import both_looks_html
from ui.words import count, duration, notice, paragraph, term

ALONE = "No other run has been tested yet. Train again with other settings or examples, and compare them here."
ALONE_HTML = paragraph(ALONE, "fine")
SIDES = ("the first is better", "the second is better")
OUTCOMES = {"same": "info", "first": "good", "second": "good", "unclear": "warning"}
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


def compare_section(page: Page, talk: Talk, place: Callable[[str], gr.HTML]) -> Section:
    """A choice of the other tested runs and of this run's checkpoints and exports, and what comes out."""
    other = gr.Dropdown([], label="Compare with", elem_id="other-run")
    alone = markup(ALONE_HTML)
    result = place("comparison")

    @show_errors
    def compared(run: str, other: str | None) -> Iterator[str]:
        yield ""
        if not run or not other:
            return
        try:
            yield from measured_first(page.lab, other, "Measuring it on the same examples")  # goes on without the page
            yield comparison_html(page.lab, other, run)
            if own := own_of(page.lab, other, run):
                yield comparison_html(page.lab, other, run, own)
        except LabError as error:  # a reason to read where one looks, not a warning that goes away
            yield notice(error.problem.what, error.problem.todo, "warning")

    def fill(run: str, _view: RunView | None, found: Found | None) -> Updates:
        others = [*other_judged(page.lab, run), *parts_of_run(page.lab, run)] if found and found.detailed else []
        return {other: gr.Dropdown(others, value=None, visible=bool(others)), alone: "" if others else ALONE_HTML, result: ""}

    @show_errors
    def both(run: str, other: str | None) -> Updates:
        return talk.with_other(run_title(page.lab, other), other, run_title(page.lab, run)) if run and other else gr.skip()

    other.input(compared, [page.run, other], result, show_progress="minimal")
    result.click(both, [page.run, other], [talk.against, talk.names, talk.base, talk.adapter, talk.both], show_progress="hidden").then(
        None, None, None, js="() => document.querySelector('#talk')?.scrollIntoView({behavior: 'smooth', block: 'center'})"
    )
    return Section([other, alone, result], fill)


def own_of(lab: Lab, first: str, second: str) -> tuple[BothAnswers, ...]:
    """What both answer to a person's own questions; a run that was not asked one yet is asked, where that can be done now."""
    one, other = lab.subject(first), lab.subject(second)
    if one.run == other.run or one.checkpoint or one.export or lab.sees(one.run):
        return ()
    try:
        return lab.wondered(one.run, other.run)
    except LabError as error:
        LOG.info("own questions of %s and %s: %s", first, second, error)
        return ()


def comparison_html(lab: Lab, first: str, second: str, own: Sequence[BothAnswers] = ()) -> str:
    """Which is better, or that they are practically the same; what was different, the same questions, and the numbers behind it."""
    found, one, other = lab.compare(first, second), lab.subject(first), lab.subject(second)
    names = [part_name(lab, part) for part in (one, other)]
    word, said = found.told(*names)
    different = different_settings(lab.job(one.run).plan, lab.job(other.run).plan) if one.run != other.run else ()
    asked = [
        Asked(
            a.question,
            ((names[0], "", a.first, as_wanted(a.first, a.reference)), (names[1], "after", a.second, as_wanted(a.second, a.reference))),
        )
        for a in [*own[:SHOWN], *found.answers][:SHOWN]
    ]
    picture = two_runs(found.rows, *names)
    detail = draw("evaluate", "comparison", [_side_by_side(score) for score in found.scores], picture)
    sees = lab.sees(other.run)
    talks = not sees and one.run != other.run and not (one.checkpoint or one.export)
    looks = both_looks_html(lab, found, one.run, other.run, (names[0], names[1])) if sees else ""
    return draw("result", "versus", *names, OUTCOMES[found.outcome], word, said, different, [] if sees else asked, detail, talks, looks)


def _side_by_side(score: Score) -> str:
    sure = f"95 % {term('interval')} {between(score) or 'unknown'}. On {count(score.n, 'example')}."
    note = f"{value(score, score.difference, '+')}, {sure}"
    sides = value(score, score.before), value(score, score.after)
    return draw("evaluate", "side_by_side", score.label, *sides, interval_bar(score, SIDES), note)


# ---- the controls ----------------------------------------------------------------------------------------------------------


def proof_section(page: Page) -> Section:
    """The button “Prove it” and what the controls found."""
    work = gr.State("")
    markup(paragraph(CONTROLS, "lead"))
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
        yield {work: control, progress: "", result: controls_html(found), stop: gr.Button(visible=not found.shuffled_learned)}
        for line in until_done(page.lab, control, "Learning from shuffled answers"):
            yield {work: control, progress: line}

    @show_errors
    def ended(run: str, control: str) -> Updates:
        about = is_control(page.lab.job(control), run) if control else False  # another run may be looked at by then
        found = {result: controls_html(page.lab.controls(run))} if about else {}
        return {work: "", stop: gr.Button(visible=False), **found}

    def fill(_run: str, view: RunView | None, _found: Found | None) -> Updates:
        took = duration(view.ended - view.started) if view and view.ended and view.started else ""
        words = f"The first takes a moment. The second takes about as long as the run did ({took})."
        return {cost: paragraph(words, "fine") if took else "", progress: "", result: "", stop: gr.Button(visible=False)}

    proving = prove.click(proven, page.run, [work, progress, result, stop], show_progress="hidden", trigger_mode="once")
    proving.then(ended, [page.run, work], [work, result, stop], show_progress="hidden")
    stop.click(show_errors(lambda control: page.lab.stop(control) if control else None), work, None)
    return Section([cost, progress, result, stop], fill)


def _control(lab: Lab, run: str, found: Controls) -> str:
    """The run on shuffled answers: the one there is, going on where it was stopped, or a new one."""
    if not found.shuffled:
        return lab.prove(run)
    view = lab.view(found.shuffled)
    if found.shuffled_learned or view.active:
        return found.shuffled
    return lab.resume(found.shuffled) if view.state in ("stopped", "killed") else lab.prove(run)


def controls_html(found: Controls) -> str:
    """What both controls found, each as passed or not."""
    first, _, second = found.words.partition(" Trained on shuffled answers")
    kinds = ("good" if found.swaps_pass else "error", "error" if found.shuffled_learned == "yes" else "good")
    said = notice(first, "", kinds[0])
    return said + (notice(f"Trained on shuffled answers{second}", "", kinds[1]) if second else "")
