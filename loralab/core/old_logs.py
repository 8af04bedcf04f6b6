"""Owns reading what earlier versions wrote: into a log, facts in a note's `data`, and what a note means in its sentence alone; into a
judgement, other names for before and after.

Invariant: the only place where a sentence written for people is read by code; what this returns the present version could have written.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from loralab.core.facts import Facts

CODES = {  # how a note began -> what it means
    "Ended early: ": "ended_early",
    "Went back": "rolled_back",
    "Went on from update": "resumed",
    "Waiting because ": "waiting",
    "The computer slept or stood still": "slept",
}
_SIDES = {"base": "before", "adapter": "after"}
_PROBED = ("bytes", "free", "measured", "seconds", "skipped", "failed")


def modern(raw: Any) -> Any:
    """An event as this version writes it."""
    if not isinstance(raw, dict) or raw.get("type") != "noted" or "code" in raw:
        return raw
    data = raw.get("data")
    fact = _fact(data) if isinstance(data, dict) else None
    if fact is not None:
        return {name: raw[name] for name in ("time", "step", "text") if name in raw} | fact
    text = str(raw.get("text") or "")
    code = next((code for begins, code in CODES.items() if text.startswith(begins)), "")
    why = text.removeprefix("Ended early: ").partition(". ")[0].strip(" .") if code == "ended_early" else ""
    rows = data.get("rows", ()) if isinstance(data, dict) else ()
    return {name: value for name, value in raw.items() if name != "data"} | {"code": code, "why": why, "rows": rows}


def _facts(value: Any) -> Facts | None:
    """Nothing where they are damaged, or of a version that knew others: the sentence is still told."""
    try:
        return Facts.model_validate(value)
    except ValidationError:
        return None


def _fact(data: dict[str, Any]) -> dict[str, Any] | None:
    """The event that a note's data was; None where it was none."""
    if "facts" in data or "n_train" in data:
        counts = {name: data[name] for name in ("n_train", "n_heldout", "trainable") if name in data}
        return {"type": "measured", "facts": _facts(data.get("facts"))} | counts
    if data.get("stage") == "probe":
        return {"type": "probed", "cost": data.get("tokens", 0)} | {name: data[name] for name in _PROBED if name in data}
    if isinstance(about := data.get("imported"), dict):
        return {"type": "imported", "origin": {"by": about.get("by"), "source": about.get("from"), "run": about.get("run") or ""}}
    if isinstance(parity := data.get("parity"), dict):
        return {"type": "compared", "outcome": parity.get("outcome"), "runtime": parity.get("runtime") or ""}
    return None


def modern_judgement(raw: dict[str, Any]) -> dict[str, Any]:
    """A judgement's file as this version writes it: its rows, tables, scores and samples once named their sides base and adapter."""
    rows = {name: [_modern_row(row) for row in rows] for name, rows in raw.get("rows", {}).items()}
    tables = {of: {name: _modern_table(table) for name, table in found.items()} for of, found in raw.get("tables", {}).items()}
    told = {name: [_modern_row(one) for one in raw[name]] for name in ("scores", "samples") if name in raw}
    return raw | {"rows": rows} | ({"tables": tables} if tables else {}) | told


def _modern_row(row: dict[str, Any]) -> dict[str, Any]:
    named = {_modern_name(name): value for name, value in row.items()}
    return named | {name: _SIDES.get(named[name], named[name]) for name in ("first", "second", "winner") if name in named}


def _modern_name(name: str) -> str:
    side, mark, rest = name.partition("_")
    return _SIDES.get(side, side) + mark + rest


def _modern_table(table: Any) -> Any:
    """Only a table of both sides: within one, the names are a person's labels."""
    return {_SIDES[side]: of for side, of in table.items()} if isinstance(table, dict) and set(table) == set(_SIDES) else table
