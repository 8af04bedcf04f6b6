"""Owns how a plan is shown: the model, whether it fits, and the main choices with their reasons."""

from __future__ import annotations

from loralab.core.records import Proposal
from loralab.lab import ModelCheck
from ui.markup import draw
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
    words = entry.words if entry else check.words if check.ok else ""
    known = draw("plan", "known", parameters(check.parameters), term("parameters"), term("licence"), entry.licence) if entry else ""
    notes = [notice(p.what, p.todo, p.severity) for p in check.problems if p.code != "not_downloaded"]
    if can_download(check):
        notes.append(notice("This model is not on this computer yet.", _download_words(check)))
    return draw("plan", "model", words if entry or check.ok else None, known, notes)


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
    new = [p for p in proposal.problems if p.code != "not_downloaded"]  # that is said where the model is chosen
    problems = [notice(p.what, p.todo, p.severity) for p in new]
    # a plan that does not fit is not argued for: what comes next are the buttons of those that do
    reasons = "" if proposal.alternatives else reasons_html(proposal)
    return draw("plan", "fit", heading("Does it fit?", esc(sentence(proposal.footprint.words))), problems, bar, reasons)


def reasons_html(proposal: Proposal) -> str:
    """The main settings of a plan, each with why it has its value."""
    why = proposal.reasons
    return draw("plan", "reasons", [(words, _shown(proposal.plan.get(name, "")), why[name]) for name, words in MAIN.items() if name in why])


def _shown(value: object) -> object:
    if isinstance(value, float):
        return f"{value:g}"
    return MODES.get(value, value) if isinstance(value, str) else value
