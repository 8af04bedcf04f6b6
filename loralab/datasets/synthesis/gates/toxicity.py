"""Insults and threats by a plain list, so that anybody can see what is meant. It knows no context: look into the bin."""

from __future__ import annotations

import re

from loralab.datasets.synthesis.gates import Gate, Yard, per_row
from loralab.datasets.synthesis.rows import MadeRow

_LIST = (
    "fuck\\w*", "motherfuck\\w*", "shit(?:ty|head|hole)?", "bullshit", "asshole\\w*", "bitch(?:es|y)?", "bastards?",
    "cunts?", "dickheads?", "whores?",
    "sluts?", "retards?", "retarded", "faggots?", "fags?", "niggers?", "niggas?", "kikes?", "spics?", "chinks?", "wankers?",
    "twats?", "pricks?",
    "kill yourself", "kys", "go die", "i will kill you", "you (?:are|re) (?:worthless|disgusting|subhuman)",
    "should be (?:gassed|exterminated)",
    "arschloch", "hurensohn", "fotze", "wichser", "schlampe", "missgeburt", "verpiss dich", "connard", "salope", "enculé",
    "putain", "puta", "cabrón",
    "gilipollas", "mierda", "hijo de puta",
)  # fmt: skip
_FOUND = re.compile(r"(?<!\w)(?:" + "|".join(_LIST) + r")(?!\w)", re.IGNORECASE)


def why(row: MadeRow, yard: Yard) -> str:
    """The reason, or ""."""
    found = _FOUND.search(f"{row.question}\n{row.answer}".replace("’", "").replace("'", ""))
    return f"It holds an insult or a threat (it begins with “{found[0][0]}”)." if found else ""


GATE = Gate("Insults and threats", 47, per_row(why))
