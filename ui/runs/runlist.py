"""Owns the list of runs at the side and the machine at the bottom.

Invariant: both are read from the lab each time; choosing a run changes one id.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from loralab.core.errors import UserError
from loralab.lab import Lab
from loralab.machine.checkup import Finding, checkup
from loralab.machine.gpu import Gpu
from loralab.runs.queue import Turn
from ui.errors import told
from ui.markup import markup
from ui.page import Page
from ui.runs.run_names import name_of, when
from ui.tabs.train.live import STATES
from ui.words import count, esc, figure, size

BUSY = ("waiting", "running")


def run_list(page: Page) -> None:
    """Draw the list; a click makes that run the current one in every tab, or moves a waiting one."""
    seen = gr.State("")  # what is on the screen already, so that nothing is sent twice
    listing = markup(told(lambda: _listed(page, "")), elem_id="runs")

    @told
    def refresh(run: str, shown: str) -> list[Any]:
        now = _listed(page, run)
        return [gr.skip(), gr.skip()] if now == shown else [now, now]

    @told
    def pick(run: str, event: gr.EventData) -> list[Any]:
        verb, _, name = str(event.pick).rpartition(":")
        chosen = act(page.lab, verb, name) or run
        now = _listed(page, chosen)
        return [chosen, now, now]

    gr.on([page.timer.tick, page.moment.change, page.run.change], refresh, [page.run, seen], [listing, seen], show_progress="hidden")
    listing.click(pick, page.run, [page.run, listing, seen], show_progress="hidden")


def act(lab: Lab, verb: str, run: str) -> str:
    """Do what a button of the list says; the run to show, empty where that does not change."""
    if verb == "remove":
        lab.unqueue(run)
        return ""
    if verb in ("earlier", "later"):
        place = next((turn.position for turn in lab.queue() if turn.run == run), 0)
        if place:  # it may have begun between the look and the click
            lab.move(run, max(1, place + (1 if verb == "later" else -1)))
        return ""
    if not any(row["id"] == run for row in lab.runs()):
        raise UserError("This run is no longer there.", "Its folder was moved or deleted.", code="no_run")
    return run


def _listed(page: Page, current: str) -> str:
    return runs_html(page.lab.runs(), current, page.lab.queue())


def runs_html(rows: Sequence[dict[str, Any]], current: str, turns: Sequence[Turn] = ()) -> str:
    """Training runs, each a button with its state and what came of it: at work, waiting in their order, then newest first."""
    trained = [row for row in rows if row.get("kind", "train") == "train"]
    waiting = [turn for turn in turns if turn.position]
    queued = {turn.run for turn in waiting}
    known = {row["id"]: row for row in rows}
    if not trained:
        return '<p class="fine">Runs you start appear here. You can come back to each of them.</p>'
    line = "".join(_waiting(turn, known, current, last=turn == waiting[-1]) for turn in waiting)
    queue = f'<div class="queue" role="group" aria-label="Waiting for their turn">{line}</div>' if line else ""
    busy = "".join(_row(row, current) for row in trained if row["state"] in BUSY and row["id"] not in queued)
    rest = "".join(_row(row, current) for row in trained if row["state"] not in BUSY)
    return f'<div class="runs">{busy}{queue}{rest}</div>'


def _row(row: dict[str, Any], current: str) -> str:
    words, tone = STATES.get(str(row.get("state")), ("", "quiet"))
    losses = f" · {figure(row['base_loss'], 2)} → {figure(row['adapter_loss'], 2)}" if row.get("adapter_loss") and tone != "busy" else ""
    return _button(row["id"], name_of(row), f"{esc(words)}{losses}<br>{when(row.get('started'))}", tone, current)


def _button(run: str, name: str, small: str, tone: str, current: str) -> str:
    here = ' aria-current="true"' if run == current else ""
    return (
        f'<button type="button" class="run" data-pick="{esc(run)}"{here}><span class="dot {tone}"></span>'
        f'<span class="run-text"><b>{esc(name)}</b><small>{small}</small></span></button>'
    )


def _waiting(turn: Turn, known: dict[str, dict[str, Any]], current: str, *, last: bool) -> str:
    """A run that waits, with its place and three small buttons; other work (a comparison, an export) is named but not opened."""
    doing = {"evaluate": "Comparison of ", "export": "Export of "}.get(turn.kind, "")
    name = name_of(known.get(turn.title, known.get(turn.run, {"id": turn.title})) if doing else known.get(turn.run, {"id": turn.title}))
    place = "Next in line" if turn.position == 1 else f"Number {turn.position} in line"
    if doing:
        words = f'<span class="run-text"><b>{esc(doing + name)}</b><small>{place}</small></span>'
        body = f'<span class="run"><span class="dot"></span>{words}</span>'
    else:
        body = _button(turn.run, name, place, "quiet", current)
    moves = (
        ("earlier", "Earlier", "↑", turn.position == 1),
        ("later", "Later", "↓", last),
        ("remove", "Take out of the queue", "×", False),
    )
    buttons = "".join(
        f'<button type="button" data-pick="{verb}:{esc(turn.run)}" aria-label="{words}: {esc(name)}" title="{words}"'
        f"{' disabled' if off else ''}>{sign}</button>"
        for verb, words, sign, off in moves
    )
    return f'<div class="turn">{body}<span class="moves">{buttons}</span></div>'


def machine_strip(page: Page) -> str:
    """This computer on one line, and all there is to say about it behind a click."""
    machine = page.lab.machine()
    card = machine.gpus[0] if machine.gpus else None
    if card:
        taken = f", {_holders(card)}" if card.holders else ""
        first = f"<b>{esc(card.name)}</b> {size(card.free_bytes)} of {size(card.total_bytes)} free{taken}"
    else:
        first = f"<b>{esc(machine.apple_gpu or machine.cpu)}</b>{'' if machine.apple_gpu else ' (no graphics card)'}"
    fastest = max(machine.speed.fp32_tflops or 0, machine.speed.bf16_tflops or 0)
    parts = [
        first,
        count(machine.cores, "core"),
        f"{size(machine.memory_free)} of {size(machine.memory_total)} memory free",
        f"{size(machine.disk_free)} free on disk",
        *([f"{fastest:.2g} TFLOP/s measured"] if fastest else []),
    ]
    line = "".join(f"<span>{part}</span>" for part in parts) + '<span class="fine">Everything stays on this computer.</span>'
    return f'<div class="machine">{line}{_letter(checkup(machine, page.lab.check_model("starter")))}</div>'


def _holders(card: Gpu) -> str:
    first = card.holders[0]
    more = f" and {len(card.holders) - 1} more" if len(card.holders) > 1 else ""
    return f"the rest is held by {'LoRALab itself' if first.ours else esc(first.name)}{more}"


def _letter(found: Sequence[Finding]) -> str:
    """The findings of `python -m loralab doctor`, folded away unless something is wrong."""
    wrong, advice = (sum(finding.state == state for finding in found) for state in ("wrong", "worth doing"))
    words = count(wrong, "thing") + " to put right" if wrong else count(advice, "suggestion") if advice else "all is well"
    tone = {"fine": "good", "worth doing": "warn", "wrong": "bad"}
    rows = "".join(
        f'<li class="{tone[finding.state]}"><b>{esc(finding.name)}</b><span>{esc(finding.what)}'
        + (f"<em>{esc(finding.todo)}</em>" if finding.todo else "")
        + "</span></li>"
        for finding in found
    )
    return f'<details class="checkup"{" open" if wrong else ""}><summary>About this computer: {words}</summary><ul>{rows}</ul></details>'
