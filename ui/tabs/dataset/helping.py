"""Owns two questions about a made file, each answered by runs of their own: do the made rows help, and would more of them.

Invariant: nothing is trained before a person pressed; the runs stand in the list, where each can be watched and stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import gradio as gr

from loralab.core.errors import UserError
from loralab.core.records import Proposal
from loralab.core.words import count
from ui.errors import show_errors_at
from ui.markup import markup
from ui.page import Page
from ui.words import notice

SMALL = "starter"
LEAD = "Each trains a small model a few times with your rows, here, one after the other, and tests on the same real rows."


def helping_fold(page: Page, file: gr.State) -> None:
    """Draw it and wire it."""
    trial, pilots = gr.State(list[str]()), gr.State(list[str]())
    with gr.Accordion("Do they help? Would more?", open=False, elem_classes="fold", elem_id="helping-fold"):
        markup(notice("Tried out, not guessed.", LEAD, "info"))
        with gr.Row(elem_classes="actions"):
            helps = gr.Button("Do the made rows help?", scale=0, min_width=210, elem_id="helping-go")
            more = gr.Button("What would 50 more bring?", scale=0, min_width=230, elem_id="curve-go")
            look = gr.Button("Look now", scale=0, min_width=110, elem_classes="quiet", elem_id="helping-look")
        told = markup(elem_id="helping-told")

    def plan(made: str) -> Proposal:
        if not made:
            raise UserError("There are no rows yet.", "Make some first.", code="no_rows")
        profile = page.lab.profile(made, model=SMALL, roles={"prompt": "question", "answer": "answer"})
        return page.lab.propose(profile, model=SMALL)

    @show_errors_at("helping-go")
    def begin(made: str) -> tuple[list[str], str]:
        settings, origins = plan(made), {row.origin for row in page.lab.made_data(made).rows if row.split != "test"}
        runs = list(page.lab.does_it_help(made, settings, "synthetic" if "synthetic" in origins else "extracted"))
        return runs, _going(page, runs, "")

    @show_errors_at("curve-go")
    def pilot(made: str) -> tuple[list[str], str]:
        runs = list(page.lab.learning_curve(made, plan(made)))
        return runs, _going(page, runs, "")

    @show_errors_at("helping-look")
    def tell(tried: list[str], piloted: list[str]) -> str:
        parts = [_going(page, tried, "", lambda: helped(page, tried)), _going(page, piloted, "", lambda: page.lab.more_rows(piloted).words)]
        return "".join(filter(None, parts)) or notice("Nothing was begun yet.", "Press one of the two.", "info")

    helps.click(begin, file, [trial, told], show_progress="hidden")
    more.click(pilot, file, [pilots, told], show_progress="hidden")
    look.click(tell, [trial, pilots], told, show_progress="hidden")


def helped(page: Page, runs: Sequence[str]) -> str:
    """The answer of two runs, one without and one with the made rows; also where it is no."""
    found = page.lab.compare(*runs)
    word, said = found.told("Without them", "With them")
    answer = {"second": "Yes, they help.", "first": "No, it is better without them.", "same": "No, they make no difference."}
    return f"{answer.get(found.outcome, 'It cannot be told yet.')} {word}. {said}"


def _going(page: Page, runs: Sequence[str], words: str, answer: Callable[[], str] | None = None) -> str:
    """How far some runs are, or what came of them."""
    if not runs:
        return words
    left = sum(page.lab.view(run).active for run in runs)
    if left or answer is None:
        return notice(
            f"{count(left or len(runs), 'run')} to go.",
            "They are in the list of runs, where each can be stopped. Look again later.",
            "info",
        )
    return notice(answer(), "", "info")
