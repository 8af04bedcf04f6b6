"""Owns the live panel: what a run is doing now, in words, numbers and one chart. Invariant: all of it is derived from lab.view(run)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr

from advisor.words.annotations import Annotation
from loralab.core.errors import UserError
from loralab.core.events import Adjusted, Incident, Noted, RunView
from loralab.lab import QueueEntry, adjustment
from ui.charts import legend, loss_chart
from ui.errors import show_errors
from ui.markup import draw, esc, markup
from ui.page import Page, Updates
from ui.runs.run_names import run_title
from ui.words import count, duration, empty, fact, facts, figure, notice, size, term

STATES = {
    "waiting": ("Getting ready", "busy"),
    "running": ("Learning", "busy"),
    "finished": ("Finished", "good"),
    "stopped": ("Stopped", "quiet"),
    "failed": ("Did not work", "bad"),
    "killed": ("Interrupted", "bad"),
}
STORY_LINES = 40


def live_panel(page: Page) -> None:
    """Draw the panel and let the page's timer feed it."""
    seen = gr.State("")  # what is on the screen already, so that nothing is sent twice
    top = markup(nothing_yet(), elem_id="live")
    with gr.Row(elem_classes="actions"):
        stop = gr.Button("Stop and save", variant="stop", visible=False, scale=0, min_width=160)
        resume = gr.Button("Resume", variant="primary", visible=False, scale=0, min_width=160)
        proof = gr.Button("See what it learned", variant="primary", visible=False, scale=0, min_width=200)
    with gr.Column(visible=False, elem_classes="card chart") as picture:
        lines = markup()
        chart = gr.Plot(show_label=False, container=False, elem_id="loss-chart")
    story = markup(elem_id="story")

    parts = Live(top, picture, lines, chart, story, stop, resume, proof)

    @show_errors
    def tick(run: str, shown: str) -> Updates:
        view = page.lab.view(run) if run else None
        mark = stamp(view)
        if mark == shown:
            return gr.skip()
        updates = parts.updates(view, run_title(page.lab, run), _whose_turn(page, view), _annotations(page, view))
        return {**updates, seen: mark, page.moment: moment_of(view)}

    out = [seen, page.moment, *vars(parts).values()]
    gr.on([page.timer.tick, page.run.change], tick, [page.run, seen], out, show_progress="hidden", concurrency_limit=None)
    stop.click(show_errors(page.lab.stop), page.run, None)
    resume.click(show_errors(page.lab.resume), page.run, page.run)
    proof.click(lambda: gr.Tabs(selected="evaluate"), None, page.tabs)


def stamp(view: RunView | None) -> str:
    """Changes whenever there is something new to show."""
    if view is None:
        return "none"
    counts = (len(view.steps), len(view.evaluations), len(view.notes), len(view.incidents), len(view.adjustments))
    clock = int(time.time()) // 5 if view.active and not view.steps else 0  # the elapsed time moves before the first step
    return "/".join(map(str, (view.run, view.state, view.phase, view.fraction, *counts, clock)))


def moment_of(view: RunView | None) -> str:
    """Changes when a run starts, ends or has made something: what the other tabs wait for."""
    return f"{view.run}/{view.state}/{len(view.artifacts)}" if view else ""


@dataclass(frozen=True)
class Live:
    """The parts of the panel."""

    top: gr.HTML
    picture: gr.Column
    lines: gr.HTML
    chart: gr.Plot
    story: gr.HTML
    stop: gr.Button
    resume: gr.Button
    proof: gr.Button

    def updates(self, view: RunView | None, title: str, turn: str, notes: Sequence[Annotation]) -> Updates:
        """What is shown of a run. `turn` tells a waiting run its turn; `notes` go onto the chart."""
        if view is None:
            hidden = {button: gr.Button(visible=False) for button in (self.stop, self.resume, self.proof)}
            return {self.top: nothing_yet(), self.picture: gr.Column(visible=False), self.chart: None, self.story: "", **hidden}
        can_go_on = view.state in ("stopped", "failed", "killed")
        left_queue = view.ending is not None and view.ending.code == "unqueued"
        return {
            self.top: headline(view, title, turn),
            self.picture: gr.Column(visible=bool(view.steps)),
            self.lines: legend(view),
            self.chart: loss_chart(view, notes) if view.steps else None,
            self.story: story_lines(view),
            self.stop: gr.Button("Take out of the queue" if view.queued else "Stop and save", visible=view.active),
            self.resume: gr.Button("Put back in the queue" if left_queue else "Resume", visible=can_go_on),
            self.proof: gr.Button(visible=bool(view.made("adapter")) and not view.active),
        }


def _annotations(page: Page, view: RunView | None) -> tuple[Annotation, ...]:
    """What the advisor writes onto the chart of a run that has ended: while it goes on, its marks say what happened."""
    if view is None or view.active or not view.steps:
        return ()
    try:
        return page.advisor.annotations(view.run)
    except UserError:  # it trained no adapter
        return ()


def _whose_turn(page: Page, view: RunView | None) -> str:
    return whose_turn(page.lab.queue(), view.run) if view is not None and view.queued else ""


def whose_turn(turns: Sequence[QueueEntry], run: str) -> str:
    """What has the machine now, and how many are before this run."""
    place = next((turn.position for turn in turns if turn.run == run), 0)
    if not place:
        return "It is about to begin."
    now = next((turn for turn in turns if turn.position == 0), None)
    doing = {"train": "is learning", "evaluate": "is being compared", "export": "is being exported"}
    at_work = f"“{now.title or now.run}” {doing.get(now.kind, 'is at work')} now. " if now else ""
    return at_work + ("This run is next." if place == 1 else f"{count(place - 1, 'run')} will come before this one.")


def nothing_yet() -> str:
    """What the panel says before the first run."""
    todo = "Choose examples on the first page and press Start. You can close the browser while it learns; it goes on."
    return empty("Nothing is learning yet", todo)


def headline(view: RunView, title: str, turn: str = "") -> str:
    """State, progress and the four numbers that matter; for a run that waits, whose turn it is."""
    words, tone = STATES[view.state]
    if view.active and view.phase not in ("", "training"):
        words = view.phase.replace("_", " ").capitalize()
    if turn and not view.steps:
        waits = notice(turn, "It begins by itself, also when this page is closed.")
        return draw("runs", "live", title, words, tone, waits)
    done = 100.0 if view.state == "finished" else 100 * _share_done(view)
    left = f"about {duration(view.seconds_left)} left" if view.active and view.seconds_left else _ended(view)
    moving = view.active and not view.queued and view.fraction is None
    bar = draw("runs", "progress", done, moving, _where(view), left)
    return draw("runs", "live", title, words, tone, (notice(turn) if turn else "") + bar + _numbers(view)) + _ending(view)


def _share_done(view: RunView) -> float:
    if view.active:
        return view.fraction or 0.0
    return view.step / view.total_steps if view.total_steps else 0.0


def _where(view: RunView) -> str:
    if not view.total_steps:
        return esc(view.notes[-1].text) if view.notes and view.active else ""
    return f"{term('update', 'Update')} {view.step:,} of {view.total_steps:,} · round {view.epoch:.1f}"


def _ended(view: RunView) -> str:
    return f"took {duration(view.ended - view.started)}" if not view.active and view.ended and view.started else ""


def _numbers(view: RunView) -> str:
    last = view.steps[-1] if view.steps else None
    evaluations = [e for e in view.evaluations if e.split != "base"]
    before = next((e.loss for e in view.evaluations if e.split == "base"), None)
    note = f"{figure(before)} before training" if before is not None else ""
    large = facts(
        fact(term("loss", "Loss while learning"), figure(last.loss) if last else "–"),
        fact(term("held-out", "Loss on held-out"), figure(evaluations[-1].loss) if evaluations else "–", note),
        fact("Speed", f"{last.tokens_per_second:,.0f}" if last else "–", term("token", "tokens") + " per second"),
        fact("Memory", size(last.memory_bytes) if last else "–", "used by this run"),
    )
    if last is None:
        return large
    rate, pull = term("learning rate", "Learning rate"), term("gradient", "gradient size")
    return large + draw("runs", "finer", f"{rate} {last.learning_rate:.2g} · {pull} {figure(last.grad_norm, 2)}")


def _ending(view: RunView) -> str:
    ending = view.ending
    if ending is None or not (ending.what or ending.todo):
        return ""
    kind = {"finished": "good", "stopped": "info"}.get(ending.outcome, "error")
    return notice(ending.what or "The run ended.", ending.todo, kind)


def story_lines(view: RunView) -> str:
    """What happened, in plain words, newest first."""
    lines = sorted((*view.notes, *view.incidents, *view.adjustments), key=lambda event: event.time, reverse=True)
    if not lines:
        return ""
    return draw("runs", "story", [_line(event, view.started) for event in lines[:STORY_LINES]])


def _line(event: Noted | Incident | Adjusted, started: float) -> tuple[str, str, str]:
    when = duration(max(0.0, event.time - started)) if started else ""
    match event:
        case Noted():
            return "note", when, event.text
        case Incident():
            return "trouble", when, event.text
        case Adjusted():
            return "change", when, adjustment(event)
