"""Owns the list of runs at the side and the machine at the bottom.

Invariant: both are read from the lab each time; choosing a run costs no event (scripts/live.js).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from loralab.lab import Gpu, Lab, QueueEntry
from ui.errors import show_errors
from ui.markup import PICK, draw
from ui.page import Page
from ui.runs.run_names import name_of, when
from ui.tabs.train.view import STATES
from ui.wires import wire_js
from ui.words import count, size

TONES = {"fine": "good", "worth doing": "warn", "wrong": "bad"}
BUSY = ("waiting", "running")
MARK = "new MutationObserver(lab.live.marked).observe(element, {childList: true, subtree: true});"  # whoever draws the list anew
DOTS = {"yes": "good", "partly": "warn", "you_decide": "warn", "no": "bad"}  # of a run that learned, by whether it can be used


def run_list(page: Page) -> None:
    """Draw the list, in which small buttons move a waiting run."""
    listing = gr.HTML(
        show_errors(lambda: _listed(page, "")), apply_default_css=False, js_on_load=f"{PICK}\n{wire_js('runs')}\n{MARK}", elem_id="runs"
    )

    @show_errors
    def move(run: str, event: gr.EventData) -> str:
        verb, _, name = str(event.pick).rpartition(":")
        act(page.lab, verb, name)
        return _listed(page, run)

    # which run is looked at is left alone: somebody may have chosen another one meanwhile
    listing.click(move, page.run, listing, show_progress="hidden")


def act(lab: Lab, verb: str, run: str) -> None:
    """Do what a small button of a waiting run says."""
    if verb == "remove":
        lab.unqueue(run)
    elif verb in ("earlier", "later"):
        place = next((turn.position for turn in lab.queue() if turn.run == run), 0)
        if place:  # it may have begun between the look and the click
            lab.move(run, max(1, place + (1 if verb == "later" else -1)))


def _listed(page: Page, current: str) -> str:
    return runs_html(page.lab.runs(), current, page.lab.queue())


def runs_html(rows: Sequence[dict[str, Any]], current: str, turns: Sequence[QueueEntry] = ()) -> str:
    """Training runs, each a button with its state and what came of it: at work, waiting in their order, then newest first."""
    trained = [row for row in rows if row.get("kind", "train") == "train"]
    waiting = [turn for turn in turns if turn.position]
    queued = {turn.run for turn in waiting}
    known = {row["id"]: row for row in rows}
    if not trained:
        return draw("runs", "no_runs")
    line = [_waiting(turn, known, current, last=turn == waiting[-1]) for turn in waiting]
    busy = [_row(row, current) for row in trained if row["state"] in BUSY and row["id"] not in queued]
    return draw("runs", "list", busy, line, [_row(row, current) for row in trained if row["state"] not in BUSY])


def _row(row: dict[str, Any], current: str) -> str:
    words, tone = STATES.get(str(row.get("state")), ("", "quiet"))
    if row.get("told") and row["state"] in ("finished", "stopped"):
        words, tone = str(row["told"]), DOTS.get(str(row.get("usable")), "quiet") if row.get("learned") == "yes" else "warn"
    return draw("runs", "button", row["id"], name_of(row), (words, when(row.get("started"))), tone, row["id"] == current)


def _waiting(turn: QueueEntry, known: dict[str, dict[str, Any]], current: str, *, last: bool) -> str:
    """A run that waits, with its place and three small buttons; other work (a comparison, an export) is named but not opened."""
    doing = {"evaluate": "Comparison of ", "export": "Export of "}.get(turn.kind, "")
    name = name_of(known.get(turn.title, known.get(turn.run, {"id": turn.title})) if doing else known.get(turn.run, {"id": turn.title}))
    place = "Next in line" if turn.position == 1 else f"Number {turn.position} in line"
    body = (
        draw("runs", "other_work", doing + name, place)
        if doing
        else draw("runs", "button", turn.run, name, (place,), "quiet", turn.run == current)
    )
    moves = (
        ("earlier", "Earlier", "↑", turn.position == 1),
        ("later", "Later", "↓", last),
        ("remove", "Take out of the queue", "×", False),
    )
    return draw("runs", "turn", body, turn.run, name, moves)


def machine_strip(page: Page, *, shown: bool = False) -> str:
    """This computer on one line, and all there is to say about it behind a click, or `shown`; then the cards of the optional parts."""
    machine = page.lab.machine()
    card = machine.gpus[0] if machine.gpus else None
    if card:
        taken = f", {_holders(card)}" if card.holders else ""
        first = draw("runs", "main_part", card.name, f" {size(card.free_bytes)} of {size(card.total_bytes)} free{taken}")
    else:
        first = draw("runs", "main_part", machine.apple_gpu or machine.cpu, "" if machine.apple_gpu else " (no graphics card)")
    fastest = max(machine.speed.fp32_tflops or 0, machine.speed.bf16_tflops or 0)
    parts = [
        first,
        count(machine.cores, "core"),
        f"{size(machine.memory_free)} of {size(machine.memory_total)} memory free",
        f"{size(machine.disk_free)} free on disk",
        *([f"{fastest:.2g} TFLOP/s measured"] if fastest else []),
    ]
    found = page.lab.checkup(machine)
    wrong, advice = (sum(finding.state == state for finding in found) for state in ("wrong", "worth doing"))
    words = count(wrong, "thing") + " to put right" if wrong else count(advice, "suggestion") if advice else "all is well"
    told = [(finding, TONES[finding.state]) for finding in found if not finding.part]  # a part has a card
    return draw("runs", "machine", parts, words, wrong or shown, told, page.extras.cards())


def _holders(card: Gpu) -> str:
    first = card.holders[0]
    more = f" and {len(card.holders) - 1} more" if len(card.holders) > 1 else ""
    return f"the rest is held by {'LoRALab itself' if first.ours else first.name}{more}"
