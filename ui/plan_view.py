"""Owns how a plan is shown: the model, whether it fits, and the main choices with their reasons."""

from __future__ import annotations

from loralab.catalog import ModelCheck
from loralab.records import Proposal
from ui.words import duration, esc, notice, size, term

MAIN = (("epochs", "Rounds over the examples"), ("learning_rate", "Learning rate"), ("rank", "Size of the adapter"), ("max_length", "Longest example"), ("effective_batch", "Examples per update"))


def model_html(check: ModelCheck) -> str:
    """What a model is: size, licence, and whether it is here."""
    if not check.ok:
        return notice(check.what, check.todo, "warning")
    lines = [f"<b>{esc(check.title)}</b>", esc(check.words)]
    if check.licence:
        lines.append(f"{term('licence', 'Licence')}: {esc(check.licence)}")
    if check.can_download:
        lines.append(f"Not on this computer yet: a download of <b>{size(check.download_bytes)}</b>.")
    return '<div class="model">' + "".join(f"<div>{line}</div>" for line in lines) + "</div>"


def fit_html(proposal: Proposal, bar: str) -> str:
    """Whether it fits, in words and as a bar; then why the main settings are what they are."""
    problems = "".join(notice(str(p.get("what", "")), str(p.get("todo", "")), str(p.get("severity", "warning"))) for p in proposal.problems)
    seconds = proposal.footprint.seconds
    time = f'<div class="fit-time">about <b>{duration(seconds)}</b></div>' if seconds else ""
    rows = "".join(
        f"<tr><th>{words}</th><td><b>{esc(proposal.plan.get(name, ''))}</b></td><td>{esc(proposal.reasons[name])}</td></tr>" for name, words in MAIN if name in proposal.reasons
    )
    table = f'<table class="reasons">{rows}</table>' if rows else ""
    return f'<div class="card">{problems}<div class="heading"><h2>Does it fit?</h2><p class="lead">{esc(proposal.footprint.words)}</p></div>{time}{bar}{table}</div>'
