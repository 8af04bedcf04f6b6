"""Owns the advisor's side panel: it opens when there is something worth saying, and closes when there is not.

Cards with evidence, Apply and Undo, a question box, and the story of what was tried again. Invariant: what is applied changes the form of
the plan and nothing else; only “Try again” starts a run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from advisor.advisor import Advisor
from advisor.proposals import trials
from loralab.core.errors import LabError
from ui.advisor.notes import MOST, Note, applied_html, before, note_html, of_run, put_right_html, shown, tested_html, tries_html
from ui.advisor.questions import question_box
from ui.advisor.retries import Tending
from ui.errors import LOG, told
from ui.form import read
from ui.markup import markup
from ui.page import Page, go_to
from ui.settings import remember

PLANNING = ("dataset", "plan")  # tabs on which the panel speaks of the plan; on the others of the run
ADVICE = "advice"  # among the settings kept for Undo: what was taken
TESTING = "One of the short tests before a whole run. That begins by itself when all have ended, with what did best."
TEND_EVERY = 5  # ticks of the page's timer
QUIET = '<p class="fine silent">Nothing to say about this. When something is worth knowing, it is said here.</p>'
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

# On a small screen a side lies over the page: whoever went somewhere wants to see that.
FOLD_JS = "() => { if (window.innerWidth < 900) document.querySelectorAll('.sidebar.open .toggle-button').forEach((it) => it.click()); }"


class Where(NamedTuple):
    """What the page is about at this moment: the values of `asked`."""

    tab: str
    run: str
    choice: tuple[str, str, str]  # dataset, model, goal
    put_off: list[str]
    weighed: int  # the plan's ticket: 0 before there is a plan, while the form holds what nobody chose
    raw: tuple[Any, ...]  # of the form

    @classmethod
    def of(cls, values: Sequence[Any]) -> Where:
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

    @property
    def outputs(self) -> list[Any]:
        """What `_fill` fills."""
        return [self.whole, self.words, self.use]


def advisor_panel(page: Page) -> None:
    """Draw the panel and wire it."""
    keys, put_off, undo, known, ticks = gr.State([]), gr.State([]), gr.State({}), gr.State(""), gr.State(0)
    heard, tending = gr.State(""), Tending(page.advisor)
    with gr.Sidebar(position="right", open=False, width=330, elem_id="advisor"):
        markup('<div class="small-title">Advisor</div>')
        number = gr.Textbox(label="What there is to say", container=False, interactive=False, elem_classes="unseen")
        silent, story = markup(QUIET), markup()
        slots = [_slot(at) for at in range(MOST)]
        with gr.Column(visible=False) as changed:
            done = markup()
            back = gr.Button("Undo", size="sm", scale=0, min_width=90, elem_id="advisor-undo")
        question_box(page)
        memory = gr.Button("What I remember", size="sm", elem_id="open-memory")
    drawn = [number, silent, story, *(part for slot in slots for part in slot.outputs), keys]
    asked = [page.tab, page.run, page.dataset, page.model, page.goal, put_off, page.ticket, *page.form.inputs]

    @told
    def look(*values: Any) -> list[Any]:
        here = Where.of(values)
        return [*_draw(page, here, shown(_notes(page, here), here.put_off)), _stamp(page, here.tab, here.run)]

    @told
    def tick(count: int, before: str, tab: str, run: str) -> list[Any]:
        news = tending.look() if count % TEND_EVERY == 0 else ""
        next_ = tending.successor(run)
        if next_:
            remember(page.lab.home, {"run": next_})
        now = _stamp(page, tab, run)
        watching = tab not in PLANNING
        follow = next_ if next_ and watching else gr.skip()
        return [count + 1, now if now != before and watching else gr.skip(), follow, f"{count}\n{news}" if news else gr.skip()]

    moved = [page.ticket.change, page.tab.change, page.run.change, known.change]
    gr.on(moved, look, asked, [*drawn, known], show_progress="hidden", trigger_mode="always_last")
    page.timer.tick(tick, [ticks, known, page.tab, page.run], [ticks, known, page.run, heard], show_progress="hidden")
    heard.change(lambda text: gr.Info(text.partition("\n")[2], title="The advisor"), heard, None)  # the next tick would clear its own
    number.change(None, number, None, js=OPEN_JS)
    memory.click(lambda: go_to("memory"), None, page.tabs, show_progress="hidden")
    page.tab.change(None, None, None, js=FOLD_JS)
    parts = {"keys": keys, "put_off": put_off, "undo": undo, "drawn": drawn, "changed": changed, "done": done, "back": back, "asked": asked}
    _wire_cards(page, slots, parts)


def _slot(at: int) -> Slot:
    with gr.Column(visible=False, elem_classes="slot") as whole:
        words = markup()
        with gr.Row(elem_classes="actions"):
            use = gr.Button("Apply", variant="primary", size="sm", scale=0, min_width=90, elem_id=f"apply-{at}")
            later = gr.Button("Not now", size="sm", scale=0, min_width=90, elem_id=f"later-{at}")
    return Slot(whole, words, use, later)


# ---- what is said ------------------------------------------------------------------------------------------------------------


def _notes(page: Page, here: Where) -> list[Note]:
    """What there is to say on a tab. A file that cannot be read is the page's own matter: it says so itself."""
    if here.tab not in PLANNING:
        return of_run(page.advisor, here.run, page.lab.view(here.run).state) if here.run else []
    dataset, model, goal = here.choice
    if not dataset or not page.lab.check_model(model).present or (here.tab == "plan" and not here.weighed):
        return []
    try:
        choice = dataset, model, goal
        on_form = here.tab == "plan"
        proposal = page.desk.weighed(*choice, read(page.form, here.raw)) if on_form else page.desk.propose(*choice)
        return before(page.advisor.preflight(proposal.plan, page.desk.profile(dataset, model, goal)), dataset, model)
    except LabError as error:
        LOG.info("advisor: %s", error)
        return []


def _draw(page: Page, here: Where, left: list[Note]) -> list[Any]:
    """Updates for the number, the silence, the story, the cards, and which notes these are."""
    chain = page.advisor.tries(here.run) if here.run and here.tab not in PLANNING else ()
    tested = ""
    if chain:
        tested = TESTING if trials.pilot_of(page.lab, here.run) else trials.chosen_because(page.lab.job(here.run))
    story = tries_html(chain) + tested_html(tested)
    number = len(left) + bool(story)
    cards = [part for at in range(MOST) for part in _card(page, left[at] if at < len(left) else None)]
    loud = [note.key for note in left if note.severity != "info"] + [f"{one.run} {len(chain)}" for one in chain[:1] if story]
    said = json.dumps({"count": number, "loud": loud}) if number else ""
    return [said, "" if number else QUIET, story, *cards, [note.key for note in left]]


def _card(page: Page, note: Note | None) -> list[Any]:
    if note is None:
        return [gr.Column(visible=False), "", gr.Button(visible=False)]
    label = "Try again with this" if note.again else "Apply" if note.settings else "Do it, in a new file"
    return [gr.Column(visible=True), note_html(note.spoken(page.lab)), gr.Button(label, visible=bool(note.settings or note.data))]


def _stamp(page: Page, tab: str, run: str) -> str:
    """Changes when there may be something new to say about a run."""
    if not run or tab in PLANNING:
        return f"{tab}/{run}"
    view = page.lab.view(run)
    return f"{tab}/{run}/{view.state}/{len(view.incidents)}/{len(view.evaluations)}"


# ---- what is done ------------------------------------------------------------------------------------------------------------


def _wire_cards(page: Page, slots: list[Slot], parts: dict[str, Any]) -> None:
    form, undone = page.form, [parts["undo"], parts["changed"], parts["done"]]
    for at, slot in enumerate(slots):
        asked = [parts["keys"], *parts["asked"]]
        changed = [page.run, page.dataset, page.model, page.pending, page.tabs, page.nudge, *undone, *form.inputs]
        slot.use.click(told(_use(page, at)), asked, changed, show_progress="hidden")
        slot.later.click(told(_later(page, at)), asked, [parts["put_off"], *parts["drawn"]], show_progress="hidden")

    @told
    def go_back(kept: dict[str, Any]) -> list[Any]:
        _taken_back(page.advisor, kept.get(ADVICE, ""))
        filled = [kept.get(name, gr.skip()) for name in form.names]
        return [kept.get("dataset", gr.skip()), _new(), {}, gr.Column(visible=False), "", *filled]

    page.run.change(lambda: [{}, gr.Column(visible=False), ""], None, undone, show_progress="hidden")  # what was changed is running by now
    parts["back"].click(go_back, parts["undo"], [page.dataset, page.nudge, *undone, *form.inputs], show_progress="hidden")


def _use(page: Page, at: int) -> Callable[..., list[Any]]:
    """Put a note's settings into the plan, or try a failed run again with them."""
    form, same = page.form, [gr.skip()] * len(page.form.names)
    nothing = [gr.skip()] * (9 + len(form.names))

    def use(keys: list[str], *values: Any) -> list[Any]:
        here = Where.of(values)
        note = _clicked(page, at, keys, here)
        if note is None or not (note.settings or note.data):
            return nothing
        if note.data and not note.settings:
            return _put_right(page, here, note, nothing)
        if note.again:
            started = page.advisor.retry(note.run, asked=True)
            _noted(page.advisor, note, taken=True)
            return [started, *nothing[1:4], go_to("train"), *nothing[5:]]
        advice = {ADVICE: _noted(page.advisor, note, taken=True)}
        change = {name: value for name, value in note.settings.items() if name in form.names}
        plan = page.lab.job(note.run).plan if note.run else {}
        dataset = str(plan.get("dataset", ""))
        if note.run and dataset != here.choice[0] and Path(dataset).exists():  # the plan on the screen is about something else
            kept = {name: plan.get(name) for name in change}
            shown_ = [gr.Column(visible=True), applied_html(form.plan, kept, change)]
            return [gr.skip(), dataset, plan.get("base_model", gr.skip()), change, go_to("plan"), gr.skip(), kept | advice, *shown_, *same]
        now = read(form, here.raw)
        kept = {name: now.get(name) for name in change}
        filled = [change.get(name, gr.skip()) for name in form.names]
        return [*nothing[:4], go_to("plan"), _new(), kept | advice, gr.Column(visible=True), applied_html(form.plan, kept, change), *filled]

    return use


def _put_right(page: Page, here: Where, note: Note, nothing: list[Any]) -> list[Any]:
    """Change the examples as a note advises, in a new file, and go on with that."""
    plan = page.lab.job(note.run).plan if note.run else page.desk.propose(*here.choice).plan
    advice = page.advisor.put_right(note.data, plan)
    kept = {"dataset": plan["dataset"], ADVICE: _noted(page.advisor, note, taken=True)}
    return [
        gr.skip(),
        advice.path,
        plan["base_model"],
        {},
        go_to("dataset"),
        gr.skip(),
        kept,
        gr.Column(visible=True),
        put_right_html(advice),
        *nothing[9:],
    ]


def _later(page: Page, at: int) -> Callable[..., list[Any]]:
    """Put a note off."""

    def later(keys: list[str], *values: Any) -> list[Any]:
        here = Where.of(values)
        note = _clicked(page, at, keys, here)
        if note is None:
            return [gr.skip()] * (5 + 3 * MOST)
        _noted(page.advisor, note, taken=False)
        off = [*here.put_off, note.key]
        return [off, *_draw(page, here, shown(_notes(page, here), off))]

    return later


def _clicked(page: Page, at: int, keys: list[str], here: Where) -> Note | None:
    """The note on the card that was clicked, as it is now; None where it is gone."""
    return next((note for note in _notes(page, here) if at < len(keys) and note.key == keys[at]), None)


def _new() -> str:
    """A value that was not there before: the plan is to be weighed again."""
    return str(time.monotonic_ns())


def _noted(advisor: Advisor, note: Note, *, taken: bool) -> str:
    """Tell the memory what was advised and whether it was taken; its id. A memory that cannot be written is no reason not to act."""
    memories = advisor.lab.history.memories
    try:
        advice = memories.note_advice(note.run, note.fix or note.title, note.settings, rule=note.rule)
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
