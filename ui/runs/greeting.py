"""Owns the welcome after a run was lost: what happened, how far it was, and one button that goes on with it.

Invariant: only what nobody chose is greeted (a crash, a power cut, a question), once for each time it happened; “Not now” is remembered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from advisor.repair.tries import try_of
from loralab.core.events import RunView
from loralab.lab import Lab
from ui.errors import show_errors
from ui.markup import draw, markup
from ui.page import Page, go_to
from ui.runs.run_names import run_title
from ui.settings import Settings, read_settings, remember
from ui.words import count

CHOSEN = frozenset({"", "unqueued", "ended_by_force"})  # how a run ends when a person wanted it to
LOOKED_AT = 30  # newest runs
REMEMBERED = 100  # endings that were put off


@dataclass(frozen=True)
class Greeting:
    """The parts of the card."""

    card: gr.Column
    words: gr.HTML
    run: gr.State  # whom it is about

    @property
    def outputs(self) -> list[Any]:
        """What `greet` fills."""
        return [self.card, self.words, self.run]


def greeting(page: Page) -> Greeting:
    """Draw the card, not yet visible, and wire its two buttons."""
    about = gr.State("")
    with gr.Column(visible=False, elem_classes="card greeting", elem_id="greeting") as card:
        words = markup()
        with gr.Row(elem_classes="actions"):
            on = gr.Button("Go on with it", variant="primary", scale=0, min_width=180, elem_id="go-on")
            later = gr.Button("Not now", scale=0, min_width=120, elem_id="not-now")

    @show_errors
    def go_on(run: str) -> list[Any]:
        if not page.lab.view(run).active:  # the live view's own button may have been quicker
            page.lab.resume(run)
        return [run, go_to("train"), gr.Column(visible=False)]

    @show_errors
    def put_off() -> Any:
        put_off_all(page.lab)
        return gr.Column(visible=False)

    @show_errors
    def look_again(run: str) -> Any:
        return gr.Column(visible=False) if run and page.lab.view(run).active else gr.skip()

    on.click(go_on, about, [page.run, page.tabs, card], trigger_mode="once")
    later.click(put_off, None, card, show_progress="hidden")
    page.moment.change(look_again, about, card, show_progress="hidden")
    return Greeting(card, words, about)


def greet(lab: Lab) -> tuple[str, list[Any]]:
    """(id of the run that was lost last, what to fill the card with); an empty id where there is nothing to greet about."""
    lost = lost_runs(lab, read_settings(lab.home))
    if not lost:
        return "", [gr.Column(visible=False), "", ""]
    view = lost[0]
    return view.run, [gr.Column(visible=True), greeting_html(view, run_title(lab, view.run), len(lost) - 1), view.run]


def lost_runs(lab: Lab, settings: Settings) -> list[RunView]:
    """Training runs that ended without anybody wanting it and were not put off, newest first."""
    rows = [row for row in lab.runs() if row["kind"] == "train"]
    tried = {why.of for row in rows[:LOOKED_AT] if (why := try_of(lab.job(row["id"])))}  # the advisor went on with these
    ended = [row["id"] for row in rows if row["state"] in ("killed", "stopped") and row["id"] not in tried]
    views = (lab.view(run) for run in ended[:LOOKED_AT])
    return [view for view in views if view.ending and view.ending.code not in CHOSEN and ending_key(view) not in settings.put_off]


def ending_key(view: RunView) -> str:
    """One ending of one run: a run that is lost twice is greeted twice."""
    return f"{view.run}@{view.ended:.0f}"


def put_off_all(lab: Lab) -> None:
    """Remember that nothing that was lost until now is to be greeted again."""
    settings = read_settings(lab.home)
    keys = [ending_key(view) for view in lost_runs(lab, settings)]
    remember(lab.home, {"put_off": (*settings.put_off, *keys)[-REMEMBERED:]})


def greeting_html(view: RunView, title: str, more: int = 0) -> str:
    """What happened, how far it was and where it would go on, in a few sentences."""
    ending = view.ending
    asks = view.state == "stopped"
    head = f"“{title}” has a question" if asks else f"Welcome back. “{title}” was interrupted"
    what = ending.what if ending and ending.what else "It ended before it was done."
    todo = ending.todo if asks and ending else ""
    others = f"{count(more, 'other run')} {'was' if more == 1 else 'were'} interrupted, too; see the list at the side." if more else ""
    return draw("runs", "greeting", head, what, todo, _where(view), others)


def _where(view: RunView) -> str:
    """How far it was, and from where it goes on."""
    copies = [made.step for made in view.artifacts if made.kind == "checkpoint"]
    if not view.total_steps or not view.step:
        return "It had not learned anything yet, so nothing is lost: it begins again."
    if view.step >= view.total_steps and copies:
        return "It had finished learning, and that is saved; what is left is the comparison of before and after."
    done = f"It had made {view.step:,} of {count(view.total_steps, 'update')} ({view.step / view.total_steps:.0%})"
    if not copies:
        return f"{done}. There was no safety copy yet, so it begins again with the same settings."
    if copies[-1] >= view.step:
        return f"{done}, and all of it is saved: it goes on exactly there."
    return f"{done}. It goes on from the safety copy of update {copies[-1]:,} and ends exactly as if nothing had happened."
