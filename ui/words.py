"""Owns how numbers and terms are said. Invariant: text from a file or a model reaches the page escaped, never as markup."""

from __future__ import annotations

from advisor.words.glossary import MEANINGS, NAMES
from loralab.core.words import count, duration, size
from ui.figures import figure
from ui.markup import draw, esc

__all__ = ["count", "duration", "empty", "esc", "fact", "facts", "figure", "heading", "notice", "paragraph", "parameters", "sentence"]
__all__ += ["size", "small_title", "term"]


def term(key: str, shown: str = "") -> str:
    """A word with its explanation on hover and on focus."""
    return draw("parts", "term", shown or key, MEANINGS[NAMES[key]])


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


def paragraph(words: str, looks: str = "") -> str:
    """A line or more of text. `looks`: its class, such as lead or fine."""
    return draw("parts", "paragraph", words, looks)


def small_title(words: str) -> str:
    """A heading over something small."""
    return draw("parts", "small_title", words)


def heading(title: str, text: str = "", step: str = "") -> str:
    """A section's heading: optional step number, title, one sentence. `text` is markup made by the functions here."""
    return draw("parts", "heading", title, text, step)
