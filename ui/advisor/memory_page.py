"""The page “what I remember”: what the memory holds in plain words, searching it, taking it along, forgetting it, and what the
advisor may do by itself.

Invariant: forgetting asks once more first; what is shown is read anew each time, and nothing on the page is a copy that could go stale.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import gradio as gr

from advisor.repair import tries
from advisor.words.remembered import Section
from loralab.core.errors import UserError
from loralab.core.paths import room
from loralab.core.words import times
from loralab.lab import Lab, Memory
from ui.advisor.assistant_choice import assistant_choice, choices_now
from ui.asking import Question, question
from ui.errors import show_errors
from ui.markup import draw, markup
from ui.page import Page, Updates
from ui.runs.run_names import spoken
from ui.tabs.train.view import STATES
from ui.wires import bell
from ui.words import count, empty, figure, heading, notice, paragraph

LEAD = "From every run the advisor learns what fits on this computer, what went wrong and what helped. It never keeps your examples."
NOTHING = empty("Nothing is remembered yet", "After your first run, this page shows what was learned from it.")
SETTINGS = "What the advisor may do without asking, and who answers your questions."
LINE = "This line will be forgotten and no longer counts. Everything else stays."
ALL = "Everything the advisor has learned here will be forgotten. Your runs, adapters and examples stay as they are."
NONE = "None."  # what a section says that has nothing to list
TOLD_BY_NAME = ("name", "examples", "day")  # columns that the name of a run says already
WHY = "why"
FOUND = 12  # runs shown for a search


def memory_page(page: Page) -> None:
    """Draw the page."""
    markup(heading("What I remember", LEAD))
    body = markup(elem_id="memory")
    single, run = _asking("forget-one"), gr.State("")
    with gr.Column(elem_classes="card"):
        words = gr.Textbox(label="Search", placeholder="ran out of memory", max_length=200, submit_btn=True, elem_id="search-memory")
        hits = markup()
    with gr.Column(elem_classes="card"):
        markup(heading("Take it with you, or forget it", "A memory file holds numbers, settings and names, never an example."))
        with gr.Row(elem_classes="actions"):
            make = gr.Button("Export …", scale=0, min_width=130, elem_id="export-memory")
            bring = gr.UploadButton("Import …", file_types=[".zip", ".jsonl"], scale=0, min_width=130, elem_id="import-memory")
            forget = gr.Button("Forget everything …", variant="stop", scale=0, min_width=180, elem_id="forget-memory")
        file = gr.File(visible=False, label="The memory file", elem_id="memory-file")
        everything = _asking("forget")
        came = markup()
    with gr.Accordion("Settings of the advisor", open=False, elem_classes="fold", elem_id="advisor-settings"):
        markup(paragraph(SETTINGS, "fine"))
        bounds = _bounds(page)
        who = assistant_choice(page)

    show = show_errors(lambda: memory_html(page))

    @show_errors
    def opened() -> Updates:
        """All of the page that another window or the command line may have changed since."""
        return {body: memory_html(page), who: choices_now(page)} | dict(zip(bounds, _allowed(page), strict=True))

    bell("memory").tick(opened, None, [body, *bounds, who], show_progress="hidden")
    words.submit(show_errors(lambda text: found_html(page, text)), words, hits, show_progress="hidden")
    make.click(show_errors(lambda: _export(page)), None, [file, came])
    bring.upload(show_errors(lambda path: _import(page, path)), bring, came).then(show, None, body, show_progress="hidden")
    forget.click(lambda: everything.ask(paragraph(ALL)), None, [everything.column, everything.words], show_progress="hidden")

    @show_errors
    def ask(event: gr.EventData) -> Updates:
        """Ask about the line whose button was pressed."""
        asked = str(event.pick)
        known = page.lab.history.memories.of(asked) is not None
        words = f"What was learned from {_name(page.lab, asked)} will be forgotten, and it is not learned from again. The run itself stays."
        return {**single.ask(paragraph(words if known else LINE)), run: asked}

    for listed in (body, hits):
        listed.click(ask, None, [single.column, single.words, run], show_progress="hidden")
    everything.yes.click(show_errors(lambda: _forget(page)), None, [everything.column, came]).then(show, None, body, show_progress="hidden")
    gone = single.yes.click(show_errors(lambda name: _forget(page, name)), run, [single.column, came])
    gone.then(show_errors(lambda text: [memory_html(page), found_html(page, text)]), words, [body, hits], show_progress="hidden")


def _bounds(page: Page) -> tuple[gr.Checkbox, gr.Slider, gr.Number, gr.Checkbox]:
    """What the advisor may do by itself: whether, how often and how long failed runs are tried again; whether what helps is tried first."""
    with gr.Column(elem_classes="card bounds"):
        markup(heading("What the advisor may do by itself"))
        allowed = tries.policy(page.lab.home)
        retry = gr.Checkbox(allowed.retry, label="Try a failed run again, with other settings", info="Each try is a new run.")
        most = gr.Slider(0, 2, value=allowed.tries, step=1, label="Tries", info="At most two for one run.")
        minutes = gr.Number(allowed.minutes, label="Minutes for all tries together", info="After that it is up to you.", precision=0)
        first = gr.Checkbox(
            allowed.try_first,
            label="Try what would help before it is advised",
            info=f"Short trainings, {count(allowed.try_minutes, 'minute')} at most, where you ask for something better.",
        )
        said = markup()
    for done in (retry.input, most.release, minutes.submit, minutes.blur):
        done(show_errors(lambda *values: _allow(page, values)), [retry, most, minutes], said, show_progress="hidden")
    first.input(show_errors(lambda value: _allow_trying(page, value)), first, said, show_progress="hidden")
    return retry, most, minutes, first


def _allowed(page: Page) -> tuple[bool, int, float, bool]:
    now = tries.policy(page.lab.home)
    return now.retry, now.tries, now.minutes, now.try_first


def _asking(name: str) -> Question:
    """A question that is asked before something is forgotten."""
    return question("Yes, forget it", "Keep it", ("stop", "secondary"), "card", name)


# ---- what is shown -----------------------------------------------------------------------------------------------------------


def memory_html(page: Page) -> str:
    """All of it in sentences and tables."""
    held = page.advisor.remembered()
    if not sum(held.counts.values()):
        return NOTHING
    parts = "".join(_section(page.lab, section) for section in held.sections if section.rows or section.words not in ("", NONE))
    return paragraph(held.words, "lead") + parts


def _section(lab: Lab, section: Section) -> str:
    said = [tuple(_cell(lab, column, cell) for column, cell in zip(section.columns, row, strict=True)) for row in section.rows]
    named = any(new[0] != old[0] for new, old in zip(said, section.rows, strict=True))
    left_out = TOLD_BY_NAME if named and section.columns[0] == "run" else ()
    why = section.columns.index(WHY) if WHY in section.columns else -1  # a sentence needs more room than a column has
    used = [at for at, column in enumerate(section.columns) if column not in left_out and at != why and any(row[at] for row in said)]
    rows = [([row[at] for at in used], row[why] if why >= 0 else "", line) for row, line in zip(said, section.lines, strict=True)]
    columns = [section.columns[at] for at in used] + ([""] if section.lines else [])
    return draw("memory", "section", section.title, section.words, columns, rows, len(columns))


def _cell(lab: Lab, column: str, cell: str) -> str:
    """A cell as a person reads it: runs by their names, endings as the list at the side says them."""
    if column in ("run", "tried in"):
        return spoken(lab, cell)
    return STATES[cell][0].lower() if column == "end" and cell in STATES else cell


def found_html(page: Page, text: str) -> str:
    """Runs that a search finds."""
    found = page.lab.history.memories.search(text, FOUND) if text.strip() else ()
    if not found:
        return paragraph("No remembered run has these words." if text.strip() else "Write what you are looking for.", "fine")
    return draw("memory", "found", [_hit(page.lab, one) for one in found])


def _hit(lab: Lab, memory: Memory) -> tuple[str, str, str, str, str]:
    trouble = "; ".join(dict.fromkeys(moment.text for moment in memory.moments if moment.text))
    measured = memory.final_loss is not None
    came = f"loss {figure(memory.base_loss)} → {figure(memory.final_loss)}" if measured else _cell(lab, "end", memory.outcome)
    return _name(lab, memory.run, memory), memory.model, came, trouble[:300], memory.run


def _name(lab: Lab, run: str, memory: Memory | None = None) -> str:
    """A run as a person knows it."""
    name = spoken(lab, run)
    known = memory or (lab.history.memories.of(run) if name == run else None)
    return known.title or run if name == run and known else name


# ---- what is done ------------------------------------------------------------------------------------------------------------


def _allow(page: Page, values: Sequence[Any]) -> Any:
    wanted: dict[str, Any] = dict(zip(("retry", "tries", "minutes"), values, strict=True))
    if wanted.items() <= tries.policy(page.lab.home).model_dump().items():  # an input was left as it was
        return gr.skip()
    if not wanted["minutes"] or wanted["minutes"] < 1:
        raise UserError("The tries need at least one minute.", "If you want none, untick the box above.", code="bad_setting")
    now = tries.allow(page.lab.home, wanted)
    if not now.retry or not now.tries:
        return notice("Failed runs are left alone. Their cards say what could be changed.")
    return notice(f"A failed run is tried again at most {times(now.tries)}, for {count(now.minutes, 'minute')} in all.", kind="good")


def _allow_trying(page: Page, wanted: bool) -> str:
    page.advisor.allow(try_first=wanted)
    return notice("What would help is tried first, then advised." if wanted else "Nothing is tried unless you ask for it.", kind="good")


def _export(page: Page) -> list[Any]:
    path = room("exports", page.lab.home) / f"memory-{datetime.now().astimezone():%Y-%m-%d-%H%M}.zip"
    number = page.lab.history.memories.export(path)
    return [gr.File(value=str(path), visible=True), notice(f"{count(number, 'run')} written to {path.name}.", str(path.parent), "good")]


def _import(page: Page, path: str) -> str:
    return notice(page.lab.history.memories.take_in(Path(path)).words, kind="good")


def _forget(page: Page, line: str = "") -> list[Any]:
    memories = page.lab.history.memories
    if line and memories.of(line) is None:
        memories.forget_line(line)
        return [gr.Column(visible=False), notice("Forgotten. It no longer counts.", "", "good")]
    number = memories.forget(line)
    return [gr.Column(visible=False), notice(f"{count(number, 'run')} forgotten.", "Your runs and adapters are untouched.", "good")]
