"""Owns the list of runs at the side and the machine at the bottom.

Invariant: both are read from the lab each time; choosing a run changes one id.
"""

from __future__ import annotations

import time
from typing import Any

import gradio as gr

from loralab.errors import UserError
from ui.errors import told
from ui.live import STATES
from ui.markup import markup
from ui.page import Page
from ui.words import count, esc, figure, size


def run_list(page: Page) -> None:
    """Draw the list; a click makes that run the current one in every tab."""
    listing = markup(told(lambda: runs_html(page.lab.runs(), "")), elem_id="runs")

    @told
    def refresh(run: str) -> str:
        return runs_html(page.lab.runs(), run)

    @told
    def pick(event: gr.EventData) -> str:
        if not any(row["id"] == event.pick for row in page.lab.runs()):
            raise UserError("This run is no longer there.", "Its folder was moved or deleted.", code="no_run")
        return str(event.pick)

    page.moment.change(refresh, page.run, listing, show_progress="hidden")
    page.run.change(refresh, page.run, listing, show_progress="hidden")
    listing.click(pick, None, page.run, show_progress="hidden")


def runs_html(rows: list[dict[str, Any]], current: str) -> str:
    """Training runs, newest first, each a button with its state and what came of it."""
    trained = [row for row in rows if row.get("kind", "train") == "train"]
    if not trained:
        return '<p class="fine">Runs you start appear here. You can come back to each of them.</p>'
    return '<div class="runs">' + "".join(_row(row, current) for row in trained) + "</div>"


def _row(row: dict[str, Any], current: str) -> str:
    words, tone = STATES.get(str(row.get("state")), ("", "quiet"))
    name = row.get("title") or str(row.get("dataset") or "").rpartition("/")[2] or row["id"]
    losses = f" · {figure(row['base_loss'], 2)} → {figure(row['adapter_loss'], 2)}" if row.get("adapter_loss") and tone != "busy" else ""
    here = ' aria-current="true"' if row["id"] == current else ""
    return (
        f'<button type="button" class="run" data-pick="{esc(row["id"])}"{here}><span class="dot {tone}"></span>'
        f'<span class="run-text"><b>{esc(name)}</b><small>{esc(words)}{losses}<br>{_when(row.get("started"))}</small></span></button>'
    )


def _when(started: Any) -> str:
    """“today 14:05” or “3 Nov”."""
    if not started:
        return ""
    then = time.localtime(float(started))
    today = time.localtime()
    same = (then.tm_year, then.tm_yday) == (today.tm_year, today.tm_yday)
    return time.strftime("today %H:%M", then) if same else time.strftime("%d %b %H:%M", then)


def machine_strip(page: Page) -> str:
    """This computer on one line."""
    machine = page.lab.machine()
    card = machine.gpus[0].name if machine.gpus else machine.apple_gpu
    parts = [
        f"<b>{esc(card or machine.cpu)}</b>{'' if card else ' (no graphics card)'}",
        count(machine.cores, "core"),
        f"{size(machine.memory_free)} of {size(machine.memory_total)} memory free",
        f"{size(machine.disk_free)} free on disk",
    ]
    return (
        '<div class="machine">'
        + "".join(f"<span>{part}</span>" for part in parts)
        + '<span class="fine">Everything stays on this computer.</span></div>'
    )
