"""Owns how it is shown how well each group of pictures does: by folder, by size, by patient, by what a clinic's file says.

Invariant: what is shown was written by the measure; nothing is concluded here.
"""

from __future__ import annotations

from typing import Any

from ui.markup import draw
from ui.tabs.evaluate.judged import Found

TITLES = {
    "group": "By patient or source",
    "folder": "By folder",
    "size": "By size in pixels",
    "camera": "By camera",
    "PatientSex": "By sex",
    "Age": "By age",
    "Modality": "By kind of machine",
    "ViewPosition": "By view",
    "Laterality": "By side of the body",
    "BodyPartExamined": "By part of the body",
}
COUNTED = {"accuracy": "Right", "dice": "Marked alike", "map50": "Found and right"}  # by the main measure


def groups_html(found: Found) -> str:
    """A table for each thing by which pictures differ, folded; empty where nothing is known of them."""
    name, known = next(
        ((name, table["groups"]) for name, table in found.tables.items() if isinstance(table, dict) and table.get("groups")), ("", {})
    )
    tables = [(TITLES.get(fact, f"By {fact}"), [_row(one) for one in rows]) for fact, rows in known.items()]
    if not tables:
        return ""
    note = ", ".join(title.removeprefix("By ") for title, _ in tables)
    return draw("result", "fold", "In groups", note, draw("pictures", "groups", tables, COUNTED.get(name, "Right")), "groups")


def _row(one: dict[str, Any]) -> dict[str, Any]:
    score = float(one["score"] if "score" in one else one["accuracy"])  # as runs of earlier versions have it
    low, high = one["between"]
    said = f"{one['right']:,} of {one['n']:,}" if "right" in one else f"{100 * score:.0f} %"
    return {
        "value": one["value"],
        "n": one["n"],
        "score": score,
        "said": said,
        "between": (low, high),
        "interval": f"{100 * low:.0f} to {100 * high:.0f} %",
    }
