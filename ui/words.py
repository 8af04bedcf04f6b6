"""Owns how numbers and terms are said. Invariant: text from a file or a model reaches the page escaped, never as markup."""

from __future__ import annotations

from loralab.cli.terminal import size  # bytes are said alike on the page and in a terminal
from ui.figures import count, duration, figure
from ui.markup import draw, esc

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


def term(key: str, shown: str = "") -> str:
    """A word with its explanation on hover and on focus."""
    return draw("parts", "term", shown or key, GLOSSARY[key])


def parameters(number: int) -> str:
    """How big a model is: 8M, 1.7B."""
    return f"{number / 1e9:.1f}B" if number >= 950_000_000 else f"{number / 1e6:.0f}M"


def sentence(words: str) -> str:
    """Words with a capital letter and a full stop."""
    return f"{words[:1].upper()}{words[1:].rstrip('.')}." if words else ""


def fact(label: str, value: str, note: str = "") -> str:
    """One tile: a big value under a small label; all are markup made by the functions here."""
    return draw("parts", "fact", label, value, note)


def facts(*tiles: str) -> str:
    """Tiles next to each other, as many as fit."""
    return draw("parts", "facts", tiles)


def notice(what: str, todo: str = "", kind: str = "info") -> str:
    """A quiet box with a sentence and the next step. `kind`: info, good, warning or error."""
    return draw("parts", "notice", what, todo, kind)


def empty(title: str, text: str) -> str:
    """What a place says before there is anything to show."""
    return draw("parts", "empty", title, text)


def heading(title: str, text: str = "", step: str = "") -> str:
    """A section's heading: optional step number, title, one sentence. `text` is markup made by the functions here."""
    return draw("parts", "heading", title, text, step)
