"""Owns how sorting is shown: which label was taken for which, and how often each was given wrongly.

Invariant: a table is drawn only while a person can read it; beyond that the worst mix-ups are named.
"""

from __future__ import annotations

from collections.abc import Mapping

from ui.tabs.evaluate.judged import Found
from ui.words import count, esc, term

MOST_DRAWN = 30  # labels in a table
WORST = 12  # mix-ups named where there are more
MOST_FALSE = 15
Table = Mapping[str, Mapping[str, int]]  # right label -> given label -> how often


def labels_html(found: Found) -> str:
    """Tables of a sorting task, folded; empty for every other."""
    confusion, wrong = found.table("confusion"), found.table("false_positives")
    if not confusion:
        return ""
    after, before = confusion["adapter"], confusion["base"]
    lead = f"When it may only choose among the labels: {term('confusion table', 'which was taken for which')}. Off the diagonal is wrong."
    first = f'<details class="sub"><summary>The same before training</summary>{_picture(before)}</details>'
    return (
        '<details class="card folded"><summary>Label by label <small>what it mixes up</small></summary>'
        f'<p class="lead">{lead}</p>{_picture(after)}{first}{_false_positives(wrong or {})}</details>'
    )


def _picture(table: Table) -> str:
    labels = sorted({*table, *(given for row in table.values() for given in row)})
    return _drawn(table, labels) if len(labels) <= MOST_DRAWN else _worst(table)


def _drawn(table: Table, labels: list[str]) -> str:
    """A table whose cells are the darker the more of a label's messages they hold."""
    head = "".join(f'<th scope="col"><span>{esc(name)}</span></th>' for name in labels)
    rows = "".join(f'<tr><th scope="row">{esc(name)}</th>{"".join(_cell(table, name, given) for given in labels)}</tr>' for name in labels)
    corner = '<td class="corner">right label ↓ &nbsp; given →</td>'
    # reachable by keyboard, because it may be wider than the screen
    return f'<div class="scroll" tabindex="0"><table class="confusion"><tr>{corner}{head}</tr>{rows}</table></div>'


def _cell(table: Table, name: str, given: str) -> str:
    row = table.get(name, {})
    times = row.get(given, 0)
    if not times:
        return "<td></td>"
    share = 100 * times / max(1, sum(row.values()))
    kind, verb = ("hit", "sorted right") if name == given else ("miss", f"taken for “{given}”")
    return f'<td class="{kind}" style="--share:{share:.0f}%" title="{esc(name)}: {times} {esc(verb)}">{times}</td>'


def _worst(table: Table) -> str:
    """The most frequent mix-ups as sentences."""
    pairs = [(times, name, given) for name, row in table.items() for given, times in row.items() if name != given]
    lines = "".join(
        f"<li><b>{esc(name)}</b> taken for <b>{esc(given)}</b> <span>{count(times, 'time')}</span></li>"
        for times, name, given in sorted(pairs, key=lambda pair: (-pair[0], pair[1:]))[:WORST]
    )
    return f'<ul class="mixups">{lines}</ul>' if lines else '<p class="fine">Nothing was mixed up.</p>'


def _false_positives(wrong: Mapping[str, Mapping[str, int]]) -> str:
    """How often each label was given to a message of another, after and before."""
    after, before = wrong.get("adapter", {}), wrong.get("base", {})
    names = sorted({*after, *before}, key=lambda name: (-after.get(name, 0), -before.get(name, 0), name))[:MOST_FALSE]
    if not names:
        return ""
    most = max(1, *after.values(), *before.values())
    lines = "".join(_wrongly(name, after.get(name, 0), before.get(name, 0), most) for name in names)
    title = term("false positive", "Given where another label was right")
    return f'<div class="small-title">{title}</div><div class="lens">{lines}</div>'


def _wrongly(name: str, after: int, before: int, most: int) -> str:
    bar = f'<div class="bar"><i class="part tone-2" style="width:{100 * after / most:.1f}%"></i></div>'
    return f'<div class="len wrongly"><span title="{esc(name)}">{esc(name)}</span>{bar}<b>{after} <small>was {before}</small></b></div>'
