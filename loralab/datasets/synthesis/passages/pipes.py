"""Owns tables within plain text: rows of cells between upright strokes, as Markdown has them."""

from __future__ import annotations

import re

_RULE = re.compile(r"\s*\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)*\|?\s*$")


def without_tables(text: str) -> tuple[str, list[list[list[str]]]]:
    """The text without its tables, and these as rows of cells, the names of the columns first."""
    lines, kept, found, at = text.split("\n"), list[str](), list[list[list[str]]](), 0
    while at < len(lines):
        if "|" in lines[at] and at + 2 < len(lines) and "|" in lines[at + 1] and _RULE.match(lines[at + 1]):
            rows = [_cells(lines[at])]
            at += 2
            while at < len(lines) and "|" in lines[at]:
                rows.append(_cells(lines[at]))
                at += 1
            found.append([(row + [""] * len(rows[0]))[: len(rows[0])] for row in rows])
        else:
            kept.append(lines[at])
            at += 1
    return "\n".join(kept), found


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]
