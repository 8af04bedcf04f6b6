"""Owns what the tabs share: the choices and the current run. Invariant: a state holds an id, a path or a frozen value.

Tabs do not know each other. Each reads and changes these shared parts, and listens to their changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from advisor.advisor import Advisor
from loralab.core.errors import UserError
from loralab.core.records import Proposal
from loralab.lab import DrawPlan, Lab, ModelEntry, PicturePlan, TextPlan, drawing_models, vision_models
from ui import goals
from ui.asking import Question, question
from ui.desk import Desk, asked_first
from ui.errors import show_errors_at
from ui.extras import Extras
from ui.forms import Forms, make_forms
from ui.runs.run_names import spoken
from ui.settings import read_settings, remember
from ui.wires import go_to, wire
from ui.words import notice, parameters, size

TABS = ("dataset", "plan", "train", "evaluate", "share")
MODEL_INFO = "Type to search. A Hugging Face name (owner/name), or the path of a model folder or a .gguf file on this computer, works too."
REFUSED = ("preflight_", "never_twice", "rate_high")  # how the codes of what a person may insist on begin
ASKED = ("rate_high",)  # of them, what is marked red on the plan and forbids nothing: one click more
Updates = dict[Any, Any]  # what a callback returns: component -> its new value or properties; the others stay as they are
ASKED_ELSEWHERE = (
    "task",
    "base_model",
    "dataset",
    "learn_from",
    "roles",
    "guessed",
    "heldout_by",
    "parts",
)  # by the first page and the model choice


@dataclass(frozen=True)
class Page:
    """The shared parts of the screen."""

    lab: Lab
    advisor: Advisor
    desk: Desk
    extras: Extras
    dataset: gr.State  # path of the examples
    choice: gr.State  # dataset, model and goal as one string: changes when a new plan is due
    run: gr.HTML  # a wire: id of the run that every tab is about
    moment: gr.HTML  # a wire: changes when a run is chosen, begins, ends or has made something
    known: gr.HTML  # a wire: changes when the advisor may have something new to say about the run
    work: gr.HTML  # a wire: changes when a measuring or an export of the run begins or ends
    news: gr.HTML  # a wire: what the app began by itself
    tab: gr.HTML  # a wire: the tab that is seen; it changes with every click, so nothing listens to it
    topic: gr.HTML  # a wire: what the advisor speaks of there (plan, run or memory), once a person has settled
    pending: gr.State  # settings that the advisor wants in the next plan that is proposed
    ticket: gr.State  # of the plan that was weighed last: changes with every answer about a plan
    nudge: gr.State  # changes when something else than the person changed the form: the plan is weighed again
    goal: gr.Radio
    model: gr.Dropdown
    form: Forms
    quick: gr.Button  # begins a quick look instead of the whole plan; shown where the plan offers one
    tabs: gr.HTML  # a wire: `go_to` turns to a tab


def shared_parts(lab: Lab) -> dict[str, Any]:
    """The parts of a Page, made before the tabs; what a person sees of them is not yet drawn."""
    settings, advisor = read_settings(lab.home), Advisor(lab)
    models = [(entry_label(entry), entry.name) for entry in lab.models()]
    models += [(f"{entry.title} · for pictures", entry.name) for entry in (*vision_models(), *drawing_models())]
    known = settings.model if any(name == settings.model for _, name in models) else "starter"
    return {
        "lab": lab,
        "advisor": advisor,
        "desk": Desk(advisor),
        "extras": Extras(lab),
        "dataset": gr.State(""),
        "choice": gr.State(""),
        "run": wire("run"),
        "moment": wire("moment"),
        "known": wire("known"),
        "work": wire("work"),
        "news": wire("news"),
        "tab": wire("tab", TABS[0]),
        "topic": wire("topic", "plan"),
        "pending": gr.State({}),
        "ticket": gr.State(0),
        "nudge": gr.State(""),
        "goal": gr.Radio(
            goals.CHOICES, value="answer", label="What should it do?", show_label=False, container=False, render=False, elem_classes="goals"
        ),
        "model": gr.Dropdown(
            models, value=known, label="Search all models", info=MODEL_INFO, allow_custom_value=True, render=False, elem_id="model"
        ),
        "form": make_forms((TextPlan, PicturePlan, DrawPlan), lab.plan_type, ASKED_ELSEWHERE),
        "quick": gr.Button(visible=False, render=False, scale=0, min_width=230, elem_id="quick-look", elem_classes="quiet"),
        "tabs": wire("turn"),
    }


def entry_label(entry: ModelEntry) -> str:
    """A catalogue entry on one line of the list of models."""
    where = "on this computer" if entry.present else f"download {size(entry.download_bytes)}"
    return f"{entry.title} · {parameters(entry.parameters)} · {where}"


def choice_key(dataset: str, model: str, goal: str) -> str:
    """One string for a set of choices."""
    return f"{dataset}\n{model}\n{goal}"


def refusal() -> Question:
    """Where it is said why a start was refused, and where a person may insist on it; hidden."""
    return question("Start anyway", "Change it first", ("secondary", "primary"), "refusal")


def start_on_click(
    button: gr.Button, page: Page, refused: Question, weighed: gr.State | None = None, *, test_first: bool = False, quick: bool = False
) -> None:
    """Make a button start a run with the choices on the screen, and turn to the live view; `test_first` begins with three short ones.
    `quick`: with as few updates as the plan offers for a quick look.

    What the advisor refuses is said in `refused`, and begun from there where the person insists. `weighed` holds the proposal shown,
    which a trace may have made finer.
    """

    def start(anyway: bool, shown: Any, dataset: str, goal: str, model: str, *raw: Any) -> Updates:
        if not dataset:
            raise UserError("There are no examples yet.", "Drop a file or take a sample first.", code="no_dataset")
        try:
            choice, fixed = (dataset, model, goal), page.form.read(raw)
            look = page.desk.weighed(*choice, fixed).quick_look if quick else None
            run = _begin(
                page, choice, fixed | (look.settings if look else {}), shown and shown.proposal, test_first=test_first, anyway=anyway
            )
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
    here = show_errors_at(str(button.elem_id))
    button.click(here(lambda *values: start(False, *values)), asked, changed, trigger_mode="once")
    if not test_first:
        refused.yes.click(here(lambda *values: start(True, *values)), asked, changed, trigger_mode="once")


def _begin(
    page: Page, choice: tuple[str, str, str], fixed: dict[str, Any], shown: Proposal | None, *, test_first: bool, anyway: bool
) -> str:
    """Begin the run of a plan, or the tests before it; the id of what is to be seen first."""
    proposal, profile = page.desk.weigh(*choice, fixed), page.desk.profile(*choice)
    if asked_first(profile):
        raise UserError("Nobody has said yet which column is what.", "Answer the question under the table first.", code="roles_unclear")
    page.desk.insist(proposal, anyway=anyway)
    for one in () if anyway else (problem for problem in proposal.problems if problem.code in ASKED):
        raise UserError(one.what, one.todo, code=one.code)
    if shown is not None and shown.plan == proposal.plan:  # what is on the screen is what the run is held against
        proposal = proposal.model_copy(update={"footprint": shown.footprint})
    if not test_first:
        return page.advisor.start(proposal, profile=profile, anyway=anyway)
    names = page.advisor.test_first(proposal.plan, profile)
    gr.Info(f"{len(names)} short tests, then the whole run begins by itself with what did best.", title="Testing first")
    return names[0]
