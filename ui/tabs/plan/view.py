"""Owns how a plan is shown: the model, whether it fits, and the main choices with their reasons."""

from __future__ import annotations

from loralab.core.records import Proposal
from loralab.lab import ModelCheck
from ui.words import esc, heading, notice, parameters, sentence, size, term

MAIN = {
    "epochs": "Rounds over the examples",
    "learning_rate": "Learning rate",
    "rank": "Size of the adapter",
    "max_length": "Longest example",
    "effective_batch": "Examples per update",
    "token_budget": "Tokens at once",
    "recompute": "Memory for time",
}
MODES = {"none": "keep everything", "selective": "compute some results twice", "full": "compute most results twice"}
DOWNLOAD_TODO = "It can be interrupted and goes on where it was. Only the model is fetched; nothing of yours is sent."


def model_html(check: ModelCheck) -> str:
    """What a model is: size, licence, and whether it is here."""
    entry = check.entry
    lines: list[str] = []
    if entry:
        lines.append(esc(entry.words))
        lines.append(f"{parameters(check.parameters)} {term('parameters')} · {term('licence')} {esc(entry.licence)}")
    elif check.ok:
        lines.append(esc(check.words))
    notes = "".join(notice(p.what, p.todo, p.severity) for p in check.problems if p.code != "not_downloaded")
    if can_download(check):
        notes += notice("This model is not on this computer yet.", _download_words(check))
    return '<div class="model">' + "".join(f"<div>{line}</div>" for line in lines) + f"</div>{notes}"


def can_download(check: ModelCheck) -> bool:
    """Whether fetching the model is the next step."""
    return not check.present and any(problem.code == "not_downloaded" for problem in check.problems)


def download_question(check: ModelCheck) -> str:
    """What a person agrees to before anything is fetched."""
    where = f"huggingface.co/{check.entry.hub_id if check.entry else check.name}"
    how_much = f"{size(check.download_bytes)} from {where}" if check.download_bytes else where
    return notice(f"Download {how_much} into your workspace?", DOWNLOAD_TODO)


def _download_words(check: ModelCheck) -> str:
    entry = check.entry
    if entry is None:
        return "It can be fetched from the Hugging Face Hub."
    if entry.gated:
        return f"A download of {size(entry.download_bytes)}. Its owner asks you to accept the terms first. {check.problems[0].todo}"
    return f"A download of {size(entry.download_bytes)} from the Hugging Face Hub. You can plan with it already; training needs it here."


def fit_html(proposal: Proposal, bar: str) -> str:
    """Whether it fits, in words and as a bar; then why the main settings are what they are."""
    problems = "".join(
        notice(p.what, p.todo, p.severity)
        for p in proposal.problems
        if p.code != "not_downloaded"  # said where the model is chosen
    )
    # a plan that does not fit is not argued for: what comes next are the buttons of those that do
    table = "" if proposal.alternatives else reasons_html(proposal)
    head = heading("Does it fit?", esc(sentence(proposal.footprint.words)))
    return f'<div class="card">{head}{problems}{bar}{table}</div>'


def reasons_html(proposal: Proposal) -> str:
    """The main settings of a plan, each with why it has its value."""
    rows = "".join(
        f"<tr><th>{words}</th><td><b>{esc(_shown(proposal.plan.get(name, '')))}</b></td><td>{esc(proposal.reasons[name])}</td></tr>"
        for name, words in MAIN.items()
        if name in proposal.reasons
    )
    return f'<table class="reasons">{rows}</table>' if rows else ""


def _shown(value: object) -> object:
    if isinstance(value, float):
        return f"{value:g}"
    return MODES.get(value, value) if isinstance(value, str) else value
