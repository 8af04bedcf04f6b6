"""Owns what the tabs share: the choices, the current run and the one timer. Invariant: a state holds an id, a path or a frozen value.

Tabs do not know each other. Each reads and changes these shared parts, and listens to their changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from advisor.advisor import Advisor
from loralab.core.errors import UserError
from loralab.core.records import Proposal
from loralab.lab import Lab, ModelEntry
from ui import goals
from ui.asking import Question, question
from ui.desk import Desk
from ui.errors import show_errors
from ui.form import Form, make_form, read
from ui.runs.run_names import spoken
from ui.settings import read_settings, remember
from ui.words import notice, parameters, size

TABS = ("dataset", "plan", "train", "evaluate", "share")
MODEL_INFO = "The ready-made model that learns from your examples. A Hugging Face name or a folder on this computer can be typed too."
REFUSED = ("preflight_", "never_twice")  # how the codes of what a person may insist on begin
Updates = dict[Any, Any]  # what a callback returns: component -> its new value or properties; the others stay as they are
ASKED_ELSEWHERE = ("task", "base_model", "dataset", "learn_from", "roles")  # by the first page and the model choice


@dataclass(frozen=True)
class Page:
    """The shared parts of the screen."""

    lab: Lab
    advisor: Advisor
    desk: Desk
    dataset: gr.State  # path of the examples
    choice: gr.State  # dataset, model and goal as one string: changes when a new plan is due
    run: gr.State  # id of the run that every tab is about
    moment: gr.State  # run id and its state: changes when a run is chosen, starts or ends
    tab: gr.State  # the tab that is seen
    pending: gr.State  # settings that the advisor wants in the next plan that is proposed
    ticket: gr.State  # of the plan that was weighed last: changes with every answer about a plan
    nudge: gr.State  # changes when something else than the person changed the form: the plan is weighed again
    timer: gr.Timer
    goal: gr.Radio
    model: gr.Dropdown
    form: Form
    tabs: gr.Tabs


def shared_parts(lab: Lab) -> dict[str, Any]:
    """Everything of a Page but its tabs, made before them and not yet drawn."""
    settings, advisor = read_settings(lab.home), Advisor(lab)
    models = [(entry_label(entry), entry.name) for entry in lab.models()]
    known = settings.model if any(name == settings.model for _, name in models) else "starter"
    return {
        "lab": lab,
        "advisor": advisor,
        "desk": Desk(advisor),
        "dataset": gr.State(""),
        "choice": gr.State(""),
        "run": gr.State(""),
        "moment": gr.State(""),
        "tab": gr.State(TABS[0]),
        "pending": gr.State({}),
        "ticket": gr.State(0),
        "nudge": gr.State(""),
        "timer": gr.Timer(1.0),
        "goal": gr.Radio(goals.CHOICES, value="answer", show_label=False, container=False, render=False, elem_classes="goals"),
        "model": gr.Dropdown(models, value=known, label="Base model", info=MODEL_INFO, allow_custom_value=True, render=False),
        "form": make_form(lab.plan_type(), skip=ASKED_ELSEWHERE),
    }


def entry_label(entry: ModelEntry) -> str:
    """A catalogue entry on one line of the list of models."""
    where = "on this computer" if entry.present else f"download {size(entry.download_bytes)}"
    return f"{entry.name} · {parameters(entry.parameters)} · {where}"


def choice_key(dataset: str, model: str, goal: str) -> str:
    """One string for a set of choices."""
    return f"{dataset}\n{model}\n{goal}"


def go_to(tab: str) -> Any:
    """An update that turns to a tab."""
    return gr.Tabs(selected=tab)


def refusal() -> Question:
    """Where it is said why a start was refused, and where a person may insist on it; hidden."""
    return question("Start anyway", "Change it first", ("secondary", "primary"), "refusal")


def start_on_click(button: gr.Button, page: Page, refused: Question, weighed: gr.State | None = None, *, test_first: bool = False) -> None:
    """Make a button start a run with the choices on the screen, and turn to the live view; `test_first` begins with three short ones.

    What the advisor refuses is said in `refused`, and begun from there where the person insists. `weighed` holds the proposal shown,
    which a trace may have made finer.
    """

    def start(anyway: bool, shown: Any, dataset: str, goal: str, model: str, *raw: Any) -> Updates:
        if not dataset:
            raise UserError("There are no examples yet.", "Drop a file or take a sample first.", code="no_dataset")
        try:
            run = _begin(page, (dataset, model, goal), read(page.form, raw), shown and shown.proposal, test_first=test_first, anyway=anyway)
        except UserError as error:
            if not error.problem.code.startswith(REFUSED):
                raise
            said = notice(spoken(page.lab, error.problem.what), error.problem.todo, "warning")
            return refused.ask(said)
        remember(page.lab.home, {"run": run, "model": model})
        if page.lab.view(run).queued:
            gr.Info("Another run has the machine. This one waits for its turn and begins by itself.", title="In the queue")
        return {page.run: run, page.tabs: go_to("train"), refused.column: refused.hide(), refused.words: ""}

    asked = [weighed or gr.State(), page.dataset, page.goal, page.model, *page.form.inputs]
    changed = [page.run, page.tabs, refused.column, refused.words]
    button.click(show_errors(lambda *values: start(False, *values)), asked, changed, trigger_mode="once")
    if not test_first:
        refused.yes.click(show_errors(lambda *values: start(True, *values)), asked, changed, trigger_mode="once")


def _begin(
    page: Page, choice: tuple[str, str, str], fixed: dict[str, Any], shown: Proposal | None, *, test_first: bool, anyway: bool
) -> str:
    """Begin the run of a plan, or the tests before it; the id of what is to be seen first."""
    proposal, profile = page.desk.weigh(*choice, fixed), page.desk.profile(*choice)
    page.desk.insist(proposal, anyway=anyway)
    if shown is not None and shown.plan == proposal.plan:  # what is on the screen is what the run is held against
        proposal = proposal.model_copy(update={"footprint": shown.footprint})
    if not test_first:
        return page.advisor.start(proposal, profile=profile, anyway=anyway)
    names = page.advisor.test_first(proposal.plan, profile)
    gr.Info(f"{len(names)} short tests, then the whole run begins by itself with what did best.", title="Testing first")
    return names[0]
