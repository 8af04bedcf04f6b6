"""Owns how the result of a run that learned to draw is shown: the same words drawn before and now, and what each drawing is most like.

Invariant: what is shown of a drawing is what its measure wrote about it; a picture that is gone leaves its words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from loralab.core.words import count
from ui.markup import draw
from ui.shots import Shots
from ui.tabs.evaluate.judged import Found

SHOWN = 6  # at a time under the two answers


@dataclass(frozen=True)
class Pair:
    """Words, drawn before and now, with the learned picture that is most like the drawing. Pictures are addresses."""

    words: str
    before: str
    after: str
    nearest: str
    alike: str
    copy: bool


def drawn_html(found: Found, shots: Shots, first: int) -> str:
    """Six of them, from the `first` on and round again; those that are copies first."""
    rows = [pair_of(row, shots) for row in _rows(found)]
    if not rows:
        return ""
    rows = [one if one.copy else replace(one, nearest="") for one in rows]  # what is no copy needs no comparison here
    rows.sort(key=lambda one: not one.copy)
    shown = [rows[(first + at) % len(rows)] for at in range(min(SHOWN, len(rows)))]
    links = [(f"others:{(first + SHOWN) % len(rows)}", "Show others")] if len(rows) > SHOWN else []
    copies = sum(one.copy for one in rows)
    lead = f"{count(copies, 'drawing')} of {len(rows)} came out nearly as one of yours." if copies else ""
    return draw("drawings", "grid", "The same words, before and now", lead, shown, links)


def drawn_fold(found: Found, shots: Shots) -> str:
    """Every drawing, folded, and those of learned captions."""
    rows, table = _rows(found), next((t for t in found.tables.values() if "recalled" in t), {})
    if not rows:
        return ""
    recalled = [pair_of(row, shots) for row in table.get("recalled", ())]
    body = draw("drawings", "folded", [pair_of(row, shots) for row in rows], recalled)
    return draw("result", "fold", "Drawing by drawing", f"{count(len(rows), 'drawing')}, and what each is most like", body, "rows")


def pair_of(row: Mapping[str, Any], shots: Shots) -> Pair:
    """One drawing with what was found of it."""
    return Pair(
        str(row["prompt"]),
        shots.drawn(str(row.get("drawn_before", ""))),
        shots.drawn(str(row.get("drawn_after") or row.get("drawn", ""))),
        shots.truth(str(row["nearest"])) if row.get("nearest") else "",
        f"{100 * float(row['alike']):.0f} %",
        bool(row.get("copy")),
    )


def _rows(found: Found) -> list[Mapping[str, Any]]:
    """What the main measure wrote about each drawing."""
    return list(next((rows for rows in found.rows.values() if rows and "drawn_after" in rows[0]), ()))
