"""Owns the names of people whom a chat calls by a number, where a list of members lies beside it, as in Slack's exports.

Invariant: only who speaks and who is spoken to change; the list itself stays what it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from loralab.datasets.conversations.chats import PROGRAM
from loralab.datasets.readers import Row, Table

_LISTS = ("users.json", "org_users.json")
_MENTION = re.compile(r"<@(\w+)(?:\|[^<>]*)?>")


def with_names(tables: Sequence[Table]) -> Sequence[Table]:
    """The tables with names in place of the numbers of Slack's members."""
    people = [row.values for table in tables if PurePosixPath(table.source).name in _LISTS for row in table.rows]
    names = {str(one["id"]): name for one in people if one.get("id") and (name := _name(one))}
    return [_named(table, names) if PROGRAM in table.columns else table for table in tables] if names else tables


def _name(person: Mapping[str, Any]) -> str:
    about = person.get("profile")
    within = about if isinstance(about, Mapping) else {}
    return str(within.get("display_name") or within.get("real_name") or person.get("real_name") or person.get("name") or "").strip()


def _named(table: Table, names: Mapping[str, str]) -> Table:
    rows = [
        Row(row.number, {**row.values, "conversation": _told(row.values["conversation"], names)})
        if row.values.get(PROGRAM) == "Slack"
        else row
        for row in table.rows
    ]
    return replace(table, rows=rows)


def _told(turns: Sequence[Mapping[str, str]], names: Mapping[str, str]) -> list[dict[str, str]]:
    return [
        {
            "role": names.get(turn["role"], turn["role"]),
            "name": names.get(turn["name"], turn["name"]),
            "content": _MENTION.sub(lambda found: f"@{names.get(found[1], found[1])}", turn["content"]),
        }
        for turn in turns
    ]
