"""Owns how numbers and terms are said. Invariant: text from a file or a model reaches the page escaped, never as markup."""

from __future__ import annotations

import html
import math

from loralab.core.words import size  # bytes are said alike on the page and in a terminal

__all__ = [
    "GLOSSARY",
    "count",
    "duration",
    "empty",
    "esc",
    "fact",
    "facts",
    "figure",
    "heading",
    "notice",
    "parameters",
    "sentence",
    "size",
    "term",
]

GLOSSARY = {
    "adapter": "A small add-on to a model. It holds what was learned; the model itself stays as it was.",
    "base model": "The ready-made language model that learns from your examples.",
    "LoRA": "The way of training used here: only a small add-on learns, so it is quick and fits on small machines.",
    "held-out": "Examples kept aside and never trained on. They show whether the model learned or only memorised.",
    "loss": "How surprised the model is by the right answer. Lower is better.",
    "token": "A piece of a word: the unit a language model reads and writes.",
    "update": "One correction of the adapter after looking at a few examples.",
    "round": "One pass over all examples (an epoch).",
    "learning rate": "How big each correction is right now. It rises gently, then falls towards the end.",
    "gradient": "How strongly the examples of one update pull. Steady is healthy; a sudden jump is not.",
    "interval": "The true difference lies in this range 95 times out of 100.",
    "confusion table": "A line for each right label, a column for each label given. A perfect sorter has numbers on the diagonal only.",
    "false positive": "A message was given this label although another one was right.",
    "control": "A test with a known outcome: where there is nothing to find, nothing may be found.",
    "parameters": "The numbers a model is made of. More of them know more, and need more memory and time.",
    "PEFT": "The library most tools use to load adapters.",
    "licence": "What the makers of the model allow you to do with it.",
}


def esc(text: object) -> str:
    """Text made safe for the page, also inside Gradio's templates (which give braces and dollars a meaning)."""
    return html.escape(str(text)).replace("{", "&#123;").replace("}", "&#125;").replace("$", "&#36;").replace("`", "&#96;")


def term(key: str, shown: str = "") -> str:
    """A word with its explanation on hover and on focus."""
    return f'<span class="term" tabindex="0" data-tip="{esc(GLOSSARY[key])}">{esc(shown or key)}</span>'


def parameters(number: int) -> str:
    """How big a model is: 8M, 1.7B."""
    return f"{number / 1e9:.1f}B" if number >= 950_000_000 else f"{number / 1e6:.0f}M"


def duration(seconds: float | None) -> str:
    """Seconds as a person says them: 40 s, 3 min 20 s, 2 h 5 min."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s" if minutes < 10 else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def figure(value: float | None, digits: int = 3) -> str:
    """A loss or another small number; what is not a number is said as it is."""
    if value is None:
        return "–"
    return f"{value:.{digits}f}" if math.isfinite(value) else "not a number"


def sentence(words: str) -> str:
    """Words with a capital letter and a full stop."""
    return f"{words[:1].upper()}{words[1:].rstrip('.')}." if words else ""


def count(number: float, one: str, many: str = "") -> str:
    """“1 row”, “1,204 rows”."""
    return f"{number:,.0f} {one if number == 1 else many or one + 's'}"


def fact(label: str, value: str, note: str = "") -> str:
    """One tile: a big value under a small label; both are markup made by the functions above."""
    extra = f'<div class="fact-note">{note}</div>' if note else ""
    return f'<div class="fact"><div class="fact-label">{label}</div><div class="fact-value">{value}</div>{extra}</div>'


def facts(*tiles: str) -> str:
    """Tiles next to each other, as many as fit."""
    return f'<div class="facts">{"".join(tiles)}</div>'


def notice(what: str, todo: str = "", kind: str = "info") -> str:
    """A quiet box with a sentence and the next step. `kind`: info, good, warning or error."""
    more = f'<div class="notice-todo">{esc(todo)}</div>' if todo else ""
    return f'<div class="notice {kind}" role="status"><div>{esc(what)}</div>{more}</div>'


def empty(title: str, text: str) -> str:
    """What a place says before there is anything to show."""
    return f'<div class="empty"><div class="empty-title">{esc(title)}</div><div>{esc(text)}</div></div>'


def heading(title: str, text: str = "", step: str = "") -> str:
    """A section's heading: optional step number, title, one sentence. `text` is markup made by the functions above."""
    mark = f'<span class="step-mark">{esc(step)}</span>' if step else ""
    more = f'<p class="lead">{text}</p>' if text else ""
    return f'<div class="heading"><h2>{mark}{esc(title)}</h2>{more}</div>'
