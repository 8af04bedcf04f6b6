"""Owns what the Share tab shows: the places a result can go to, what each costs, and what was found of the file that was made.

Invariant: it reads offers and files and draws; it starts nothing. What was not proven is never shown in green.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loralab.core import parity
from loralab.core.events import RunView
from loralab.core.jobs import CheckExportJob, ExportJob
from loralab.core.parity import Check, Parity
from loralab.core.words import about
from loralab.lab import Lab, Offer
from ui.markup import draw
from ui.words import empty, fact, facts, heading, notice, size

NOT_YET = empty("Nothing to take away yet", "When a run has finished, you find what it learned here, ready to use anywhere.")
GOING_ON = empty("Still learning", "When this run has ended, or is stopped, you can take away what it learned.")
NOTHING_LEARNED = empty(
    "This run left nothing to take away", "It ended before anything was saved. Resume it at the side, or start another."
)


@dataclass(frozen=True)
class Choice:
    """One form of a result for a place, in plain words."""

    format: str
    variant: str
    title: str


@dataclass(frozen=True)
class Destination:
    """Where somebody wants to use it."""

    key: str
    title: str
    words: str
    choices: tuple[Choice, ...]
    program: str = ""  # that the result can be given to here
    then: str = ""  # what to do in the program's own window; empty where a result is for those who program


def _sizes(form: str) -> tuple[Choice, ...]:
    return (
        Choice(form, "q4_k_m", "Small: a quarter of the size, nearly as good"),
        Choice(form, "q8_0", "Balanced: half the size"),
        Choice(form, "f16", "Exact: as it was trained"),
    )


DESTINATIONS = (
    Destination(
        "page",
        "A page that answers by itself",
        "One file to open with a double click, for a USB stick or an e-mail. It answers in the browser of whoever opens it, without a "
        "network; nothing they type leaves their device.",
        (
            Choice("page", "q8_0", "Balanced: half the size and as good"),
            Choice("page", "q4_k_m", "Small: a quarter of the size, nearly as good"),
            Choice("page", "f16", "Exact: as it was trained"),
            Choice("page", "fp32", "Exact: number for number"),
            Choice("page", "int8", "Small: half the size and nearly as good"),
        ),
        then="Download the file, put it on a USB stick or send it, and open it with a double click in Chrome, Edge or Firefox. It checks "
        "itself each time it is opened and shows a green tick.",
    ),
    Destination(
        "ollama",
        "In Ollama",
        "One folder with all that Ollama needs. Your words stay on your computer.",
        _sizes("ollama"),
        "Ollama",
        "Where it was given to Ollama on this computer, it stands in the list of models in Ollama's window: choose it there. "
        "It was not yet? With Ollama installed, tick “Also give it to Ollama on this computer” above and make it again.",
    ),
    Destination(
        "lm_studio",
        "In LM Studio",
        "One file to choose in LM Studio's window.",
        _sizes("lm_studio"),
        "LM Studio",
        "Where it was given to LM Studio on this computer, it stands among “My Models” in LM Studio's window: load it there. "
        "It was not yet? With LM Studio installed, tick “Also give it to LM Studio on this computer” above and make it again.",
    ),
    Destination(
        "llama_cpp",
        "In llama.cpp",
        "One GGUF file, also for Jan and other programs built on llama.cpp.",
        (*_sizes("gguf"), Choice("gguf_adapter", "", "Only what was learned, to lay over the base model")),
        then="Jan and other programs with a window have a button to import a model: choose the file there.",
    ),
    Destination(
        "python",
        "In Python",
        "For programs of your own, or a server such as vLLM.",
        (
            Choice("adapter", "", "Small: only what was learned; loads beside its base model"),
            Choice("merged", "", "Exact: the whole model in one folder"),
            Choice("pt", "", "The whole model as one .pt file"),
        ),
    ),
    Destination(
        "onnx",
        "On a website or phone",
        "ONNX, for browsers, phones and servers. Small is four times smaller, not faster.",
        (
            Choice("onnx", "int8", "Small: eight bits"),
            Choice("onnx", "fp16", "Balanced: sixteen bits, for graphics cards"),
            Choice("onnx", "fp32", "Exact: full numbers"),
            Choice("onnx", "uint8", "Small, for devices that ask for unsigned bytes"),
        ),
    ),
    Destination(
        "keep",
        "Keep it",
        "To store it, pass it on, or go on from it later.",
        (
            Choice("adapter", "", "What was learned, its card and the plan to repeat it, as a zip"),
            Choice("merged", "", "Everything: the whole model, needing nothing else"),
        ),
    ),
)
BY_KEY = {place.key: place for place in DESTINATIONS}


PICTURE_WORDS = {
    "python": "For programs of your own.",
    "onnx": "ONNX, for browsers, phones and servers.",
    "page": "One file to open with a double click, for a USB stick or an e-mail. It looks at pictures in the browser of whoever opens it, "
    "without a network; no picture leaves their device.",
}


def destination_choices(offers: Sequence[Offer] = ()) -> list[tuple[str, str]]:
    """The places, as a Radio wants them; of a run those that something is offered for."""
    return [(place.title, place.key) for place in DESTINATIONS if not offers or size_choices(place.key, offers)]


def size_choices(destination: str, offers: Sequence[Offer] = (), *, sees: bool = False) -> list[tuple[str, str]]:
    """The forms for a place, as a Radio wants them: words, and format and variant in one string; of a run those that are offered.

    What a model that `sees` is taken away in says its own words.
    """
    known = [(choice, offer_for(offers, choice_key(choice))) for choice in BY_KEY[destination].choices]
    return [(offer.words if offer and sees else choice.title, choice_key(choice)) for choice, offer in known if offer or not offers]


def words_of(destination: str, *, sees: bool) -> str:
    """What a place is."""
    return PICTURE_WORDS.get(destination, BY_KEY[destination].words) if sees else BY_KEY[destination].words


def choice_key(choice: Choice) -> str:
    """Format and variant as one string."""
    return f"{choice.format}:{choice.variant}"


def offer_for(offers: Sequence[Offer], key: str) -> Offer | None:
    """What was offered for a choice."""
    form, _, variant = key.partition(":")
    return next((offer for offer in offers if (offer.format, offer.variant) == (form, variant)), None)


def cost_html(offer: Offer | None, last: RunView | None = None) -> str:
    """Size and time before anything is made, by the last time where there was one; or why it cannot be made."""
    if offer is None:
        return notice("This form is not there.", "Choose another one.", "warning")
    if offer.problem:
        return notice(offer.problem.what, "" if offer.problem.part else offer.problem.todo, "warning")  # a part has its card below
    takes = "a few seconds" if offer.seconds < 12 else about(offer.seconds)
    note, left = "and a check that it answers the same", f"{size(offer.free)} are free"
    if last and last.state == "finished" and last.started and last.ended:
        takes, note = about(last.ended - last.started), "as it took last time, with its check"
    return facts(fact("Size", f"about {size(offer.bytes)}", left), fact("Takes", takes, note))


def state_html(view: RunView | None) -> str:
    """What stands where the forms will be, empty when there is something to take away."""
    if view is None:
        return NOT_YET
    if view.active:
        return GOING_ON
    return "" if view.made("adapter") else NOTHING_LEARNED


def warning_html(view: RunView) -> str:
    """What must be known about a run that did not reach its end."""
    if view.state == "finished" or not view.total_steps:
        return ""
    how = {"stopped": "was stopped early", "failed": "failed"}.get(view.state, "was interrupted")
    what = f"This run {how}, after update {view.step:,} of {view.total_steps:,}. You can take away what it had learned by its last save."
    return notice(what, "Look at the Evaluate tab before you rely on it, or resume the run.", "warning")


# ---- what was made ---------------------------------------------------------------------------------------------------------


def exports_of(lab: Lab, run: str) -> dict[str, RunView]:
    """The newest export of a run in each form: format and variant in one string -> its view."""
    found: dict[str, RunView] = {}
    for row in reversed(lab.runs()):
        if row.get("kind") != "export":
            continue
        job = lab.job(row["id"])
        if isinstance(job, ExportJob) and job.of == run:
            found[f"{job.format}:{job.variant}"] = lab.view(row["id"])
    return found


def result_of(view: RunView | None) -> dict[str, Any]:
    """What a finished export told, while its files are there; empty otherwise."""
    result = view.ending.result if view and view.state == "finished" and view.ending else {}
    return result if result and Path(str(result.get("path", ""))).exists() else {}


def check_of(lab: Lab, export: RunView | None) -> RunView | None:
    """The newest later check of an export, None where there was none."""
    if export is None:
        return None
    for row in lab.runs():
        job = lab.job(row["id"]) if row.get("kind") == "check_export" else None
        if isinstance(job, CheckExportJob) and job.export == export.run:
            return lab.view(row["id"])
    return None


def waits_for(lab: Lab, export: RunView | None) -> str:
    """The name of the optional part with which an export that nobody could try is tried; empty where none is wanted."""
    result, check = result_of(export), check_of(lab, export)
    found = parity_of(result)
    return found.part if result and found.outcome == "untried" and not (check and check.active) else ""


def part_here(lab: Lab, name: str) -> bool:
    """Whether an optional part is installed."""
    return any(part.present for part in lab.parts() if part.name == name)


def go_on(lab: Lab, run: str, size: str, part: str) -> None:
    """Do what waited for a part that is here now: check what is made, or make it."""
    export = exports_of(lab, run).get(size)
    if export is not None and waits_for(lab, export) == part:
        lab.check_export(export.run)
    else:
        form, _, variant = size.partition(":")
        lab.export(run, form, variant)


LINES = "For those who program or use a terminal: lines to copy"
TITLES = {"proven": "Ready", "differs": "Made, but not to be relied on", "untried": "Made, but not checked yet"}


def made_html(result: Mapping[str, Any]) -> str:
    """Where it lies, how large it is, and whether it is proven."""
    if not result:
        return ""
    title = heading(TITLES[parity_of(result).outcome])
    return draw("share", "made", title, float(result.get("bytes") or 0), result["path"], _given_html(result), parity_html(result))


def _given_html(result: Mapping[str, Any]) -> str:
    if result.get("installed"):
        return notice("It was handed over.", str(result["installed"]), "good")
    return notice("It is made, but was not handed over.", str(result["not_installed"]), "warning") if result.get("not_installed") else ""


WORDS = {
    "proven": ("Proven", "good", "It was opened in its own program and answers as what you trained."),
    "differs": ("It differs", "error", "It does not answer as what you trained. The file was kept, but do not rely on it."),
    "untried": ("Not proven", "warning", "It has not been opened in its own program yet."),
}


def parity_html(result: Mapping[str, Any]) -> str:
    """The card of the parity gate: outcome, sentence and each comparison behind a click."""
    found = parity_of(result)
    word, kind, usual = WORDS[found.outcome]
    more = [line for line in (f"Probably: {found.why}" if found.why else "", found.todo, found.took) if line]
    return draw("share", "parity", kind, word, found.words or usual, more, [_check(check) for check in found.checks])


def parity_of(result: Mapping[str, Any]) -> Parity:
    """parity.json beside the export; where there is none, what the export itself measured."""
    return parity.read(Path(str(result.get("folder", "")))) or _by_facts(result)


def _by_facts(result: Mapping[str, Any]) -> Parity:
    """Numbers that the format measured on what it wrote, before there was a gate or where it has none."""
    gap = result.get("max_logit_difference")
    if result.get("unchecked"):
        return Parity(outcome="untried", words=result["unchecked"])
    if gap is None:
        words = "The numbers are the trained ones, byte for byte; it was not opened in another program."
        return Parity(outcome="untried", words=words)
    program = result.get("checked_with") or "a fresh read from the disk"
    words = f"Compared with what you trained in {program}: its scores for the next word differ by at most {float(gap):.2g}."
    return Parity(outcome="proven", words=words)


def _check(check: Check) -> tuple[str, str, str, str]:
    tone, word = ("quiet", "to know") if check.told_only else ("good", "passed") if check.ok else ("bad", "differs")
    name = check.name.replace("_", " ")
    return tone, word, name[:1].upper() + name[1:], check.words


def guide_of(result: Mapping[str, Any], model: str = "") -> str:
    """The lines to copy, from the guide that lies in the folder; with the places of the folder and of the base `model` on this computer."""
    readme = Path(str(result.get("folder", ""))) / "README.md"
    if not result or not readme.is_file():
        return ""
    text = readme.read_text("utf-8", errors="replace")
    _, found, rest = text.partition("## How to load it\n")
    part = rest.partition("\n## ")[0].strip() if found else ""
    folder = str(result["folder"])
    placed = part.replace('"this-folder"', json.dumps(folder, ensure_ascii=False))
    if Path(model).is_absolute():
        placed = re.sub(r'"?folder-of-[\w.-]+"?', lambda _: json.dumps(model, ensure_ascii=False), placed)
    return f"This folder is:\n\n```sh\ncd {json.dumps(folder, ensure_ascii=False)}\n```\n\n{placed}" if part else ""


def download_of(result: Mapping[str, Any]) -> str:
    """The one file a browser can fetch: the zip, or the model's own file; empty for a folder of several."""
    path = Path(str(result.get("path", "")))
    if result and path.is_file():
        return str(path)
    alone = result.get("format") in ("gguf", "gguf_adapter", "lm_studio", "page", "pt") and result.get("file")
    whole = alone and result.get("single", True)  # a large page is a folder
    return str(path / str(result["file"])) if whole and (path / str(result["file"])).is_file() else ""
