"""Owns how sorting is shown: which label was taken for which, and how often each was given wrongly.

Invariant: a table is drawn only while a person can read it; beyond that the worst mix-ups are named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ui.markup import draw
from ui.tabs.evaluate.judged import Found
from ui.words import term

MOST_DRAWN = 30  # labels in a table
WORST = 12  # mix-ups named where there are more
MOST_FALSE = 15
Table = Mapping[str, Mapping[str, int]]  # right label -> given label -> how often


def labels_html(found: Found) -> str:
    """Tables of a sorting task, folded; empty for every other."""
    confusion, wrong = found.table("confusion"), found.table("false_positives")
    if not confusion:
        return ""
    after, before = confusion["after"], confusion["before"]
    lead = f"When it may only choose among the labels: {term('confusion table', 'which was taken for which')}. Off the diagonal is wrong."
    return draw("evaluate", "labels", lead, _picture(after), _picture(before), _false_positives(wrong or {}))


def _picture(table: Table) -> str:
    labels = sorted({*table, *(given for row in table.values() for given in row)})
    return _drawn(table, labels) if len(labels) <= MOST_DRAWN else _worst(table)


def _drawn(table: Table, labels: list[str]) -> str:
    """A table whose cells are the darker the more of a label's messages they hold."""
    return draw("evaluate", "confusion", labels, [(name, [_cell(table, name, given) for given in labels]) for name in labels])


def _cell(table: Table, name: str, given: str) -> dict[str, Any]:
    row = table.get(name, {})
    times = row.get(given, 0)
    kind, verb = ("hit", "sorted right") if name == given else ("miss", f"taken for “{given}”")
    return {"times": times, "kind": kind, "verb": verb, "share": 100 * times / max(1, sum(row.values()))}


def _worst(table: Table) -> str:
    """The most frequent mix-ups as sentences."""
    pairs = [(times, name, given) for name, row in table.items() for given, times in row.items() if name != given]
    return draw("evaluate", "mixups", sorted(pairs, key=lambda pair: (-pair[0], pair[1:]))[:WORST])


def _false_positives(wrong: Mapping[str, Mapping[str, int]]) -> str:
    """How often each label was given to a message of another, after and before."""
    after, before = wrong.get("after", {}), wrong.get("before", {})
    names = sorted({*after, *before}, key=lambda name: (-after.get(name, 0), -before.get(name, 0), name))[:MOST_FALSE]
    if not names:
        return ""
    most = max(1, *after.values(), *before.values())
    lines = [(name, after.get(name, 0), before.get(name, 0), 100 * after.get(name, 0) / most) for name in names]
    return draw("evaluate", "false_positives", term("false positive", "Given where another label was right"), lines)
