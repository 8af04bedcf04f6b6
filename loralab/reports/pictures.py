"""Owns the card of a model for pictures: what it was made from, what was measured, how it is used, and what it is not. No torch.

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
from loralab.core.words import count, listed
from loralab.models.vision import VisionEntry, vision_entry
from loralab.reports import licences
from loralab.reports.card import answers, numbers
from loralab.reports.markdown import shielded
from loralab.runs.run_folder import RunFolder
from loralab.tasks import setting_label

NOT_MEDICAL = "Not a medical device. It must not be used to decide about the health of anybody; it is for teaching and research only."
DOES = {"classify": "sorts pictures", "segment": "marks what is where in pictures", "detect": "finds things in pictures"}
SETTINGS = ("image_size", "augmentation", "rank", "alpha", "epochs", "effective_batch", "learning_rate", "head_rate", "optimizer", "seed")


def picture_card(run: str, plan: dict[str, Any], view: RunView, labels: tuple[str, ...] = (), *, medical: bool = False) -> str:
    """README.md of a model for pictures, in Markdown with the Hub's front matter."""
    entry = vision_entry(str(plan.get("base_model", "")))
    title = plan.get("title") or run
    lines = ["---", "library_name: peft", "tags:", "- lora", "- loralab", "- vision", "---", "", f"# {shielded(str(title))}", ""]
    lines += [f"**{NOT_MEDICAL}**", ""] if medical else []
    does = DOES.get(str(plan.get("task")), "works on pictures")
    base = shielded(entry.title if entry else str(plan.get("base_model", "")))
    lines += [f"A model that {does}, made from **{base}** on one computer with LoRALab {__version__}.", ""]
    lines += [f"It tells apart: {shielded(listed(list(labels)))}.", ""] if labels else []
    lines += [*answers(view.conclusion), *_data(plan, view), *numbers(view), *_settings(plan), *_limits(plan, entry, medical=medical)]
    return "\n".join(lines) + "\n"


def _data(plan: dict[str, Any], view: RunView) -> Iterator[str]:
    yield from ("## Data", "", f"- File: {shielded(Path(str(plan.get('dataset', ''))).name) or 'unknown'}")
    if counts := view.measured:
        yield f"- {count(counts.n_train, 'picture')} learned from, {counts.n_heldout:,} kept aside and never looked at while learning"
    yield ""


def _settings(plan: dict[str, Any]) -> Iterator[str]:
    yield from ("## Settings", "", "| setting | value |", "|---|---|")
    yield from (f"| {setting_label(name)} | {shielded(str(plan[name]))} |" for name in SETTINGS if name in plan)
    yield from ("", "`plan.json` beside this file holds all of them; with the same pictures and seed it repeats the run.", "")


def _limits(plan: dict[str, Any], entry: VisionEntry | None, *, medical: bool) -> Iterator[str]:
    yield from ("## Limits and licence", "", *(f"- {shielded(line)}" for line in limits(plan, entry, medical=medical)))


def limits(plan: dict[str, Any], entry: VisionEntry | None, *, medical: bool) -> Iterator[str]:
    """What not to expect and whose licences apply, a sentence or two each, as plain text."""
    data = licences.of_data(str(plan.get("dataset") or ""))
    yield f"The base model's licence: {entry.licence if entry else licences.UNKNOWN}. It applies to what is made from it."
    yield f"The licence of the pictures: {data or licences.UNKNOWN}. It may apply to what learned from them, too."
    yield "The numbers above are about pictures like those it learned from. With another camera, light or place it may be much worse."
    yield NOT_MEDICAL if medical else "It can be wrong and sound sure. Nobody has tested it for safety."


def write(plan: Plan, folder: RunFolder, adapter: Path) -> None:
    """Into an adapter's folder: its card (PEFT leaves an empty form), and the plan that repeats the run."""
    view = fold(folder.job.run, read(folder.path / "events.jsonl")[0])
    labels, medical = _beside(adapter)
    write_atomic(adapter / "README.md", picture_card(folder.job.run, plan.model_dump(), view, labels, medical=medical))
    write_atomic(adapter / "plan.json", plan.model_dump_json(indent=2) + "\n")


def _beside(adapter: Path) -> tuple[tuple[str, ...], bool]:
    """The classes, and whether the pictures are of patients, as the file beside the weights says."""
    found = load((adapter / "pictures.json").read_bytes())
    return tuple(map(str, found.get("labels", ()))), bool(found.get("medical"))
