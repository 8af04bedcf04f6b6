"""Owns how the result of a run on pictures is shown: some it never saw, with what a person says, what was said before and what is said now;
and all of them, the worst errors first.

Invariant: what is shown of a picture is what its measure wrote about it; a picture that is gone leaves its words.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ui.markup import draw
from ui.shots import Shots
from ui.tabs.evaluate.judged import Found, Row
from ui.words import paragraph

SHOWN = 6  # at a time under the two answers
MOST_DRAWN = 20  # kinds in a table
CELL = "cell-"  # of the table: which kind was taken for which, by their places
NUMBERS = {2: "Two", 3: "Three", 4: "Four", 5: "Five", 6: "Six"}
NONE = {"wrong": "Not one of them is wrong.", "unsure": "It is sure of all of them.", "all": "No single pictures were kept."}


@dataclass(frozen=True)
class Look:
    """A picture with what is said of it. `right` is None where it is right or wrong only in part; `score` says it in a word then."""

    truth: str  # addresses
    said: str
    label: str
    before: str
    after: str
    right: bool | None
    score: str
    sure: str
    number: int
    why: str = ""  # the address of where the model looked


def rows_of(found: Found) -> tuple[Row, ...]:
    """What the main measure wrote about each picture."""
    return tuple(next((rows for rows in found.rows.values() if rows and "media" in rows[0]), ()))


def looks_html(found: Found, shots: Shots, first: int) -> str:
    """Six of them in an order of chance, from the `first` on and round again."""
    rows = list(rows_of(found))
    if not rows:
        return ""
    random.Random(0).shuffle(rows)  # in the file's order the first ones are all of one kind
    shown = [rows[(first + at) % len(rows)] for at in range(min(SHOWN, len(rows)))]
    links = [(f"others:{(first + SHOWN) % len(rows)}", "Show others")] if len(rows) > SHOWN else []
    title = "A picture it never saw" if len(shown) == 1 else f"{NUMBERS.get(len(shown), len(shown))} pictures it never saw"
    return draw("pictures", "looks", title, shots.key, [look_of(row, shots) for row in shown], links)


def look_of(row: Row, shots: Shots, *, why: bool = False) -> Look:
    """One picture, as it is drawn; with `why` also where the model looked."""
    name, good = str(row["media"]), row["after_right"]
    whole = isinstance(good, bool)
    sure = f"{100 * float(row['confidence']):.0f} % sure" if "confidence" in row else ""
    doubt = ", so it says “I do not know”" if row.get("knows") is False else ""
    return Look(
        shots.truth(name),
        shots.said(name),
        str(row["label"]),
        str(row["before"]),
        str(row["after"]),
        good if whole else None,
        "" if whole else _score(row),
        f"{sure}{doubt}",
        int(row["row"]),
        shots.why(name) if whole and why else "",
    )


def _score(row: Row) -> str:
    if "found" in row:
        told = [(row["found"], "found"), (row.get("missed", 0), "missed"), (row.get("wrong", 0), "wrong")]
        return ", ".join(f"{n} {what}" for n, what in told if n or what == "found")
    return f"{100 * float(row['after_right']):.0f} % alike"


# ---- all of them -------------------------------------------------------------------------------------------------------------


def fold_html(found: Found, shots: Shots, change: str, most: int) -> str:
    """Every picture, folded: which kind was taken for which, filters, the list and more of it."""
    rows, tables = rows_of(found), next((t for t in found.tables.values() if "labels" in t), {})
    if not rows:
        return ""
    labels, whole = [str(label) for label in tables.get("labels", ())], isinstance(rows[0]["after_right"], bool)
    if change == "all" and whole and not all(row["after_right"] for row in rows):
        change = "wrong"  # what is opened first
    change = "all" if change == "every" else change
    left = chosen(rows, change, labels, tables.get("worst", ()))
    filters = [("wrong", "Wrong"), ("unsure", "Not sure"), ("every", "All")] if whole else []
    chips = [
        (f"rows:{key}:{most}", f"{words} · {_counted(rows, key, labels):,}", key == change or (key, change) == ("every", "all"))
        for key, words in filters
    ]
    more = f"rows:{'every' if change == 'all' else change}:{most + most}" if len(left) > most else ""
    cards = (
        draw("pictures", "cards", shots.key, [look_of(row, shots, why=True) for row in left[:most]])
        if left
        else paragraph(_none(change), "fine")
    )
    body = draw(
        "pictures",
        "all",
        _table(tables, labels, change) if whole else "",
        chips,
        _named(change, labels),
        cards,
        more,
        whole and bool(shots.why(str(rows[0]["media"]))),
    )
    return draw("result", "fold", "Picture by picture", f"{len(rows):,} it never saw, the worst first", body, "rows")


def chosen(rows: Sequence[Row], change: str, labels: Sequence[str], worst: Sequence[int]) -> list[Row]:
    """The pictures that a filter leaves, the worst first."""
    place = {row: at for at, row in enumerate(worst)}
    ranked = sorted(rows, key=lambda row: (place.get(row["row"], len(place)), _badness(row)))
    if pair := _pair(change, labels):
        return [row for row in ranked if (str(row["label"]), str(row["after"])) == pair]
    match change:
        case "wrong":
            return [row for row in ranked if not row["after_right"]]
        case "unsure":
            return [row for row in ranked if row.get("knows") is False]
        case _:
            return ranked


def _badness(row: Row) -> float:
    good = float(row["after_right"])
    return good if not isinstance(row["after_right"], bool) else good - float(row.get("confidence", 0)) * (1 - 2 * good)


def _pair(change: str, labels: Sequence[str]) -> tuple[str, str] | None:
    """The kind and what it was taken for, of a cell of the table."""
    places = change.removeprefix(CELL).split("-")
    if not change.startswith(CELL) or not all(place.isdecimal() and int(place) < len(labels) for place in places) or len(places) != 2:
        return None
    return labels[int(places[0])], labels[int(places[1])]


def _counted(rows: Sequence[Row], change: str, labels: Sequence[str]) -> int:
    return len(chosen(rows, change, labels, ()))


def _none(change: str) -> str:
    return NONE.get(change, "There are none.")


def _named(change: str, labels: Sequence[str]) -> str:
    pair = _pair(change, labels)
    if pair is None:
        return ""
    return f"You say “{pair[0]}”, and so does it." if pair[0] == pair[1] else f"You say “{pair[0]}”, it says “{pair[1]}”."


def _table(tables: dict[str, Any], labels: Sequence[str], change: str) -> str:
    """Which kind was taken for which; a cell shows its pictures."""
    after = (tables.get("confusion") or {}).get("after", {})
    if not after or len(labels) > MOST_DRAWN:
        return ""
    lines: list[tuple[str, list[dict[str, Any]]]] = []
    for i, name in enumerate(labels):
        row = after.get(name, {})
        whole = max(1, sum(row.values()))
        cells = [
            {
                "times": row.get(given, 0),
                "kind": "hit" if given == name else "miss",
                "share": 100 * row.get(given, 0) / whole,
                "pick": f"{CELL}{i}-{j}",
                "given": given,
                "on": change == f"{CELL}{i}-{j}",
            }
            for j, given in enumerate(labels)
        ]
        lines.append((name, cells))
    return draw("pictures", "confusion", list(labels), lines)
