"""What stands around texts and is no text: cookie banners, menus, copyright lines, placeholders that nobody filled in."""

from __future__ import annotations

import re

from loralab.datasets.synthesis.gates import Gate, Yard, per_row
from loralab.datasets.synthesis.rows import MadeRow

_SIGNS = re.compile(
    r"\b(?:(?:we|this (?:web)?site) uses? cookies|accept (?:all )?cookies|cookie (?:policy|settings|preferences)|all rights reserved"
    r"|click here|subscribe to our"
    r"|sign up for our|share (?:this )?on (?:facebook|twitter|linkedin)|follow us on|log ?in or (?:register|sign up)"
    r"|skip to (?:main )?content|read more\s*$"
    r"|terms (?:of (?:use|service)|and conditions) apply|privacy policy|enable javascript|your browser (?:does not|doesn(?:'"
    r"|’)t) support|powered by wordpress"
    r"|lorem ipsum|table of contents|page \d+ of \d+|back to top|previous (?:article|page|chapter)\b.{0,20}\bnext|advertisement"
    r"|add to (?:cart|basket)"
    r"|insert (?:your )?(?:text|name|answer) here|project gutenberg|this page (?:is )?intentionally left blank)\b"
    r"|\[(?:insert|your|name|date|todo|tbd|placeholder)[^\]]{0,40}\]|\{\{[^}]{0,60}\}\}|<\|?[a-z_]{2,20}\|?>|©|\.{6,}|(?:_ ?){8,}",
    re.IGNORECASE,
)


def why(row: MadeRow, yard: Yard) -> str:
    """The reason, or ""."""
    for text in (row.question, row.answer):
        if found := _SIGNS.search(text):
            return f"It holds what stands around texts: “{found[0][:40]}”."
    return ""


GATE = Gate("Around the text", 42, per_row(why))
