"""Owns the card of an adapter that was taught to draw: what it was made from, what was measured, how it is used. No torch.

Invariant: as of every card: numbers are measured, and text of people, files and models is shielded.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loralab.core.events import RunView, fold, read
from loralab.core.paths import write_atomic
from loralab.core.records import Plan
from loralab.core.strict_json import load
from loralab.core.version import __version__
from loralab.core.words import count
from loralab.models.drawing import drawing_entry
from loralab.reports import licences
from loralab.reports.card import answers, numbers
from loralab.reports.markdown import shielded
from loralab.runs.run_folder import RunFolder
from loralab.tasks import setting_label

PATIENTS = "It learned from pictures of patients. It may draw one of them again: it must not be handed on."
SETTINGS = ("trigger", "rank", "epochs", "effective_batch", "learning_rate", "guidance", "drawing_steps", "seed")


def drawing_card(run: str, plan: dict[str, Any], view: RunView, *, medical: bool = False) -> str:
    """README.md of an adapter that draws, in Markdown with the Hub's front matter."""
    entry = drawing_entry(str(plan.get("base_model", "")))
    title = plan.get("title") or run
    lines = ["---", "library_name: peft", "tags:", "- lora", "- loralab", "- text-to-image", "---", "", f"# {shielded(str(title))}", ""]
    lines += [f"**{PATIENTS}**", ""] if medical else []
    base = shielded(entry.title if entry else str(plan.get("base_model", "")))
    lines += [f"An adapter that draws in a style, made for **{base}** on one computer with LoRALab {__version__}.", ""]
    lines += [f"Its trigger word is `{shielded(str(plan.get('trigger', '')))}`: with it in the words, it draws in that style.", ""]
    lines += [
        *answers(view.conclusion),
        *_data(plan, view),
        *numbers(view),
        *_settings(plan),
        *_limits(plan, entry.licence if entry else ""),
    ]
    return "\n".join(lines) + "\n"


def _data(plan: dict[str, Any], view: RunView) -> Iterator[str]:
    yield from ("## Data", "", f"- File: {shielded(Path(str(plan.get('dataset', ''))).name) or 'unknown'}")
    if counts := view.measured:
        yield f"- {count(counts.n_train, 'picture')} learned from, {counts.n_heldout:,} kept aside and never looked at while learning"
    yield ""


def _settings(plan: dict[str, Any]) -> Iterator[str]:
    yield from ("## Settings", "", "| setting | value |", "|---|---|")
    yield from (f"| {setting_label(name)} | {shielded(str(plan[name]))} |" for name in SETTINGS if name in plan)
    yield from ("", "Alpha is the rank. `plan.json` beside this file holds all; with the same pictures and seed it repeats the run.", "")


def _limits(plan: dict[str, Any], licence: str) -> Iterator[str]:
    data = licences.of_data(str(plan.get("dataset") or ""))
    yield from ("## Limits and licence", "")
    yield f"- The base model's licence: {shielded(licence or licences.UNKNOWN)}. It applies to what is made from it."
    yield f"- The licence of the pictures: {shielded(data or licences.UNKNOWN)}. It may apply to what learned from them, too."
    yield "- What learns to draw may learn pictures by heart. How many of its drawings were nearly copies is said above."
    yield "- Do not draw people who did not agree to it."


def write(plan: Plan, folder: RunFolder, adapter: Path) -> None:
    """Into an adapter's folder: its card (PEFT leaves an empty form), and the plan that repeats the run."""
    view = fold(folder.job.run, read(folder.path / "events.jsonl")[0])
    medical = bool(load((adapter / "drawing.json").read_bytes()).get("medical"))
    write_atomic(adapter / "README.md", drawing_card(folder.job.run, plan.model_dump(), view, medical=medical))
    write_atomic(adapter / "plan.json", plan.model_dump_json(indent=2) + "\n")
