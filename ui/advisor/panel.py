"""Owns the advisor's side panel: it opens when there is something worth saying, and closes when there is not.

Cards with evidence, Apply and Undo, a question box, and the story of what was tried again. Invariant: what is applied changes the form of
the plan and nothing else; only “Try again” starts a run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from advisor.advisor import Advisor
from advisor.proposals import trials
from loralab.core.errors import LabError
from ui.advisor.notes import MOST, Note, applied_html, before, note_html, of_run, put_right_html, shown, tested_html, tries_html
from ui.advisor.questions import PLANNING, Box, question_box
from ui.desk import stops
from ui.errors import LOG, show_errors
from ui.markup import markup
from ui.page import Page, Updates, go_to
from ui.wires import go_to_js
from ui.words import paragraph, small_title

ADVICE = "advice"  # among the settings kept for Undo: what was taken
AT = "run"  # and which run was looked at
TESTING = "This is one of the short tests. When all have ended, the whole run begins by itself with the settings that did best."
QUIET = paragraph("Nothing to add here. When something is worth knowing, you will read it here.", "fine silent")
ADVISED = "The advisor suggested this, and you took it."
HELPED = ("does_not_fit", "not_downloaded", "never_twice")  # reasons not to start that a note may help with
# Opens the panel where there is room for it and a card that matters was never shown; on a small screen the number on its handle must do.
OPEN_JS = """(said) => {
  const side = document.querySelector('#advisor'), handle = side?.querySelector('.toggle-button');
  if (!handle) return;
  const {count, loud} = JSON.parse(said || '{"count": 0, "loud": []}'), wide = window.innerWidth >= 1200;
  const seen = window.advised ??= new Set(), fresh = loud.some((key) => !seen.has(key));
  loud.forEach((key) => seen.add(key));
  handle.setAttribute('aria-label', count ? `Advisor: ${count} to read` : 'Advisor');
  if (count) handle.dataset.count = count; else delete handle.dataset.count;
  if (!handle.dataset.heard) {  // a chart does not notice by itself that its room changed
    handle.dataset.heard = 'yes';
    handle.addEventListener('click', () => setTimeout(() => window.dispatchEvent(new Event('resize')), 400));
  }
  if (fresh && wide && !side.classList.contains('open')) handle.click();
}"""


class Context(NamedTuple):
    """What the page is about at this moment: the values of `asked`."""

    tab: str
    run: str
    choice: tuple[str, str, str]  # dataset, model, goal
    put_off: list[str]
    weighed: int  # the plan's ticket: 0 before there is a plan, while the form holds what nobody chose
    raw: tuple[Any, ...]  # of the form

    @classmethod
    def of(cls, values: Sequence[Any]) -> Context:
        """From the values in the order of the inputs."""
        tab, run, dataset, model, goal, off, weighed, *raw = values
        return cls(tab, run, (dataset, model, goal), off, weighed, tuple(raw))


@dataclass(frozen=True)
class Slot:
    """Room for one card."""

    whole: gr.Column
    words: gr.HTML
    use: gr.Button
    later: gr.Button


@dataclass(frozen=True)
class Panel:
    """What is on it, and what it knows of itself."""

    number: gr.Textbox  # how much there is to say, for the handle
    silent: gr.HTML
    story: gr.HTML
    slots: tuple[Slot, ...]
    keys: gr.State  # of the notes on the slots
    put_off: gr.State
    changed: gr.Column
    done: gr.HTML
    undo: gr.State  # settings as they were
    asked: tuple[Any, ...]  # what `Context` is made of

    @property
    def drawn(self) -> list[Any]:
        """What `_draw` changes."""
        return [self.number, self.silent, self.story, self.keys, *(part for s in self.slots for part in (s.whole, s.words, s.use))]

    def note_change(self, words: str, kept: dict[str, Any], run: str) -> Updates:
        """Say what was changed while looking at `run`, and keep what it was before for Undo."""
        return {self.changed: gr.Column(visible=True), self.done: words, self.undo: kept | {AT: run}}

    def forget_change(self) -> Updates:
        """There is nothing to undo."""
        return {self.changed: gr.Column(visible=False), self.done: "", self.undo: {}}


def advisor_panel(page: Page) -> None:
    """Draw the panel and wire it."""
    put_off = gr.State([])
    with gr.Sidebar(position="right", open=False, width=330, elem_id="advisor"):
        markup(small_title("Advisor"))
        number = gr.Textbox(label="What there is to say", container=False, interactive=False, elem_classes="unseen")
        silent, story = markup(QUIET), markup()
        slots = tuple(_slot(at) for at in range(MOST))
        with gr.Column(visible=False) as changed:
            done = markup()
            back = gr.Button("Undo", size="sm", scale=0, min_width=90, elem_id="advisor-undo")
        box = question_box(page)
        memory = gr.Button("What I remember", size="sm", elem_id="open-memory")
    asked = (page.tab, page.run, page.dataset, page.model, page.goal, put_off, page.ticket, *page.form.inputs)
    panel = Panel(number, silent, story, slots, gr.State([]), put_off, changed, done, gr.State({}), asked)
    number.change(None, number, None, js=OPEN_JS)
    memory.click(None, None, None, js=go_to_js("memory"))
    _wire(page, panel, box)
    _wire_cards(page, panel, back)


def _wire(page: Page, panel: Panel, box: Box) -> None:
    """What is looked at again when something changed."""

    @show_errors
    def recheck(*values: Any) -> Updates:
        here = Context.of(values)
        left = shown(_notes(page, here), here.put_off)
        return _draw(page, panel, here, left) | box.about(page.lab, here.tab, here.run, here.choice[0])

    moved = [page.ticket.change, page.topic.change, page.run.change, page.known.change]
    gr.on(moved, recheck, list(panel.asked), [*panel.drawn, *box.drawn], show_progress="hidden", trigger_mode="always_last")
    page.news.change(lambda text: gr.Info(text.partition("\n")[2], title="The advisor"), page.news, None)


def _slot(at: int) -> Slot:
    with gr.Column(visible=False, elem_classes="slot") as whole:
        words = markup()
        with gr.Row(elem_classes="actions"):
            use = gr.Button("Apply", variant="primary", size="sm", scale=0, min_width=90, elem_id=f"apply-{at}")
            later = gr.Button("Not now", size="sm", scale=0, min_width=90, elem_id=f"later-{at}")
    return Slot(whole, words, use, later)


# ---- what is said ------------------------------------------------------------------------------------------------------------


def _notes(page: Page, here: Context) -> list[Note]:
    """What there is to say on a tab. A file that cannot be read is the page's own matter: it says so itself."""
    if here.tab not in PLANNING:
        return of_run(page.advisor, here.run, page.lab.view(here.run).state) if here.run else []
    dataset, model, goal = here.choice
    if not dataset or not page.lab.check_model(model).present or (here.tab == "plan" and not here.weighed):
        return []
    try:
        choice = dataset, model, goal
        if stops(page.desk.profile(*choice)):
            return []  # the page says what is needed first, and no advice leads around it
        on_form = here.tab == "plan"
        proposal = page.desk.weighed(*choice, page.form.read(here.raw)) if on_form else page.desk.propose(*choice)
        if any(problem.severity == "error" and problem.code not in HELPED for problem in proposal.problems):
            return []  # it cannot start, and the page says why
        notes = before(page.advisor.preflight(proposal.plan, page.desk.profile(dataset, model, goal)), dataset, model)
        return [_foreseen(page, note, proposal.plan) for note in notes]
    except LabError as error:
        LOG.info("advisor: %s", error)
        return []


def _foreseen(page: Page, note: Note, plan: dict[str, Any]) -> Note:
    """With what its button would leave of the examples; without a button where that is nothing, or too few to train."""
    if not note.data or note.settings:
        return note
    found = page.advisor.would_leave(note.data, plan)
    if found is None:
        return note.model_copy(update={"data": ""})
    return note.model_copy(update={"leaves": f"{found.after:,} of {found.before:,}"})


def _draw(page: Page, panel: Panel, here: Context, left: list[Note]) -> Updates:
    """The number, the silence, the story, the cards, and which notes these are."""
    chain = page.advisor.tries(here.run) if here.run and here.tab not in PLANNING else ()
    tested = ""
    if chain:
        tested = TESTING if trials.pilot_of(page.lab, here.run) else trials.chosen_because(page.lab.job(here.run))
    story = tries_html(chain) + tested_html(tested)
    number = len(left) + bool(story)
    loud = [note.key for note in left if note.severity != "info"] + [f"{one.run} {len(chain)}" for one in chain[:1] if story]
    said = json.dumps({"count": number, "loud": loud}) if number else ""
    updates: Updates = {panel.number: said, panel.silent: "" if number else QUIET, panel.story: story}
    for slot, note in zip_longest(panel.slots, left):
        updates |= _card(page, slot, note)
    return updates | {panel.keys: [note.key for note in left]}


def _card(page: Page, slot: Slot, note: Note | None) -> Updates:
    if note is None:
        return {slot.whole: gr.Column(visible=False), slot.words: "", slot.use: gr.Button(visible=False)}
    in_file = f"Do it in a new file (leaves {note.leaves})" if note.leaves else "Do it in a new file"
    label = "Try again with this" if note.again else "Apply" if note.settings else in_file
    if note.settings or note.data:
        _noted(page.advisor, note)
    use = gr.Button(label, visible=bool(note.settings or note.data))
    return {slot.whole: gr.Column(visible=True), slot.words: note_html(note.spoken(page.lab)), slot.use: use}


def _cleared(panel: Panel) -> Updates:
    """Nothing of the file before stays while the next one is read."""
    cards: Updates = {}
    for slot in panel.slots:
        cards |= {slot.whole: gr.Column(visible=False), slot.words: "", slot.use: gr.Button(visible=False)}
    return {panel.number: "", panel.silent: "", panel.story: "", panel.keys: [], **cards}


# ---- what is done ------------------------------------------------------------------------------------------------------------


def _wire_cards(page: Page, panel: Panel, back: gr.Button) -> None:
    form, undone = page.form, [panel.undo, panel.changed, panel.done]
    asked = [panel.keys, *panel.asked]
    changed = [page.run, page.dataset, page.model, page.pending, page.tabs, page.nudge, *undone, *form.inputs]
    for at, slot in enumerate(panel.slots):
        slot.use.click(show_errors(_use(page, panel, at)), asked, changed, show_progress="hidden")
        slot.later.click(show_errors(_later(page, panel, at)), asked, [panel.put_off, *panel.drawn], show_progress="hidden")

    @show_errors
    def go_back(kept: dict[str, Any]) -> Updates:
        _taken_back(page.advisor, kept.get(ADVICE, ""))
        dataset = {page.dataset: kept["dataset"]} if "dataset" in kept else {}
        model = {page.model: kept["base_model"]} if "base_model" in kept else {}
        return {**dataset, **model, page.nudge: _new(), **panel.forget_change(), **form.updates(kept)}

    page.dataset.change(lambda: _cleared(panel), None, panel.drawn, show_progress="hidden", queue=False)  # the new file's notes come later

    def goes_on(run: str, kept: dict[str, Any]) -> Updates:
        """What was changed is running by now, unless this is still the run it was changed at."""
        return panel.forget_change() if kept and kept.get(AT) != run else gr.skip()

    page.run.change(goes_on, [page.run, panel.undo], undone, show_progress="hidden")
    back.click(go_back, panel.undo, [page.dataset, page.model, page.nudge, *undone, *form.inputs], show_progress="hidden")


def _use(page: Page, panel: Panel, at: int) -> Callable[..., Updates]:
    """Put a note's settings into the plan, or try a failed run again with them."""

    def use(keys: list[str], *values: Any) -> Updates:
        here = Context.of(values)
        note = _clicked(page, at, keys, here)
        if note is None or not (note.settings or note.data):
            return gr.skip()
        if note.data and not note.settings:
            return _put_right(page, panel, here, note)
        if note.again:
            started = page.advisor.retry(note.run, asked=True)
            _noted(page.advisor, note, taken=True)
            return {page.run: started, page.tabs: go_to("train")}
        return _apply(page, panel, here, note)

    return use


def _apply(page: Page, panel: Panel, here: Context, note: Note) -> Updates:
    """Put a note's settings into the form, or into the next plan where the one on the screen is about something else."""
    form = page.form
    advice = {ADVICE: _noted(page.advisor, note, taken=True)}
    change = {name: value for name, value in note.settings.items() if name in form.names}
    plan = page.lab.job(note.run).plan if note.run else {}
    dataset = str(plan.get("dataset", ""))
    if model := note.settings.get("base_model"):  # all else follows from it: the plan is made anew
        before = {"base_model": here.choice[1]}
        return {
            page.model: model,
            page.tabs: go_to("plan"),
            **panel.note_change(applied_html(before, {"base_model": model}), before | advice, here.run),
        }
    elsewhere = bool(note.run) and dataset != here.choice[0] and Path(dataset).exists()
    now = plan if elsewhere else form.read(here.raw)
    kept = {name: now.get(name) for name in change}
    page.desk.note_reasons(change, ADVISED)
    said = {page.tabs: go_to("plan"), **panel.note_change(applied_html(kept, change), kept | advice, here.run)}
    if elsewhere:
        model = {page.model: plan["base_model"]} if "base_model" in plan else {}
        return {page.dataset: dataset, **model, page.pending: change, **said}
    return {page.nudge: _new(), **form.updates(change), **said}


def _put_right(page: Page, panel: Panel, here: Context, note: Note) -> Updates:
    """Change the examples as a note advises, in a new file, and go on with that."""
    plan = page.lab.job(note.run).plan if note.run else page.desk.propose(*here.choice).plan
    advice = page.advisor.put_right(note.data, plan)
    kept = {"dataset": plan["dataset"], ADVICE: _noted(page.advisor, note, taken=True)}
    then = {page.dataset: advice.path, page.model: plan["base_model"], page.pending: {}, page.tabs: go_to("dataset")}
    return then | panel.note_change(put_right_html(advice), kept, here.run)


def _later(page: Page, panel: Panel, at: int) -> Callable[..., Updates]:
    """Put a note off."""

    def later(keys: list[str], *values: Any) -> Updates:
        here = Context.of(values)
        note = _clicked(page, at, keys, here)
        if note is None:
            return gr.skip()
        _noted(page.advisor, note, taken=False)
        off = [*here.put_off, note.key]
        return {panel.put_off: off, **_draw(page, panel, here, shown(_notes(page, here), off))}

    return later


def _clicked(page: Page, at: int, keys: list[str], here: Context) -> Note | None:
    """The note on the card that was clicked, as it is now; None where it is gone."""
    return next((note for note in _notes(page, here) if at < len(keys) and note.key == keys[at]), None)


def _new() -> str:
    """A value that was not there before: the plan is to be weighed again."""
    return str(time.monotonic_ns())


def _noted(advisor: Advisor, note: Note, *, taken: bool | None = None) -> str:
    """Tell the memory what was advised and whether it was taken; its id. A memory that cannot be written is no reason not to act."""
    memories = advisor.lab.history.memories
    try:
        advice = memories.note_advice(note.run, note.fix or note.title, note.settings, rule=note.rule)
        if taken is not None:
            memories.note_taken(advice, taken=taken)
    except (LabError, OSError) as error:
        LOG.warning("advice was not remembered: %s", error)
        return ""
    return advice


def _taken_back(advisor: Advisor, advice: str) -> None:
    """Tell the memory that an advice was undone."""
    try:
        if advice:
            advisor.lab.history.memories.note_taken(advice, taken=False)
    except (LabError, OSError) as error:
        LOG.warning("what was undone was not remembered: %s", error)
