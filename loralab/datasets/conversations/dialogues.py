"""Owns conversations that well-known data sets keep in shapes of their own: OpenAssistant's trees, CoQA's stories, MOSS's numbered turns.

Invariant: words of such a row that do not become part of its conversation stay in the row, or are counted in it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from loralab.core.records import LeftOut
from loralab.datasets.readers import Row, Table

CONVERSATION = "conversation"  # the column that it becomes
ELSEWHERE = "messages on other branches"
_LOOKED_AT = 50  # rows
_MARKS, _PARENTS = ("message_id", "id"), ("parent_id", "parent_message_id", "parent")
_NO_ABOVE = "The message that this one answers is not in the file."
_STORIES = ("story", "context", "passage", "paragraph")
_MOSS = re.compile(r"\s*(?:<\|[^|<>]{1,30}\|>:)?\s*(.*?)\s*(?:<eo[a-z]>)?\s*", re.DOTALL)
_WRITTEN = re.compile(r"\s*\[(Human|MOSS)\]:\s*(.*?)\s*<eo[a-z]>\s*", re.DOTALL)
_ROLES = {"Human": "user", "MOSS": "assistant"}

Values = Mapping[str, Any]
Turns = list[dict[str, Any]]


def unfolded(table: Table) -> Table:
    """The table with a column for the conversation, where most of its rows are in one of these shapes."""
    looked_at = [row.values for row in table.rows[:_LOOKED_AT]]
    shape = next((shape for shape in _SHAPES if 2 * sum(map(bool, map(shape, looked_at))) > len(looked_at)), None)
    if shape is None or CONVERSATION in table.columns:
        return table
    rows = [Row(row.number, shape(row.values) or row.values) for row in table.rows]
    return replace(table, rows=rows, columns=tuple(dict.fromkeys(name for row in rows for name in row.values)))


def replies_below(table: Table) -> Table:
    """OpenAssistant's flat tables, a row for each message that names the one it answers, as trees: a row for each beginning.

    What answers a message that is not there is left out with that reason.
    """
    mark = next((column for column in _MARKS if column in table.columns), "")
    parent = next((column for column in _PARENTS if column in table.columns), "")
    known = {str(row.values.get(mark)): row for row in table.rows}
    if not mark or not parent or not {"role", "text"} <= set(table.columns) or len(known) < len(table.rows):
        return table
    below: dict[str, list[str]] = {}
    for name, row in known.items():
        above = row.values.get(parent)
        begins = above in (None, "") or (isinstance(above, float) and math.isnan(above))
        below.setdefault("" if begins else str(above), []).append(name)
    if 2 * sum(len(names) for above, names in below.items() if above in known) < len(known) or not below.get(""):
        return table
    trees: dict[str, dict[str, Any]] = {}
    order = list(below[""])
    for name in order:  # grows while it is walked: a loop, because a tree may be deep
        trees[name] = {**known[name].values, "replies": []}
        order += below.get(name, ())
    for above, names in below.items():
        if above in trees:
            trees[above]["replies"] = [trees[name] for name in names]
    rows = [Row(known[name].number, trees[name]) for name in below[""]]
    lost = [LeftOut(row=row.number, source=table.source, reason=_NO_ABOVE) for name, row in known.items() if name not in trees]
    return replace(table, rows=rows, columns=(*table.columns, "replies"), left_out=[*table.left_out, *lost])


def _with(values: Values, turns: Turns, *taken: str, **more: Any) -> dict[str, Any]:
    return {**{name: cell for name, cell in values.items() if name not in taken}, **more, CONVERSATION: turns}


def _tree(values: Values) -> dict[str, Any] | None:
    """Of a tree of messages the way along the answers that people ranked first; how many stand elsewhere is kept."""
    name = next((name for name in ("prompt", "message_tree", "tree") if _is_node(values.get(name))), "")
    root = values[name] if name else values
    if not _is_node(root):
        return None
    way, left, n = [root], [root], 0
    while replies := _kept(way[-1]):
        way.append(replies[0])
    while left:  # a loop, because a tree may be deep
        n += 1
        left.extend(_replies(left.pop()))
    turns = [{"role": str(node["role"]), "text": node["text"]} for node in way]
    taken = (name,) if name else ("role", "text", "replies")
    return _with(values, turns, *taken, **({ELSEWHERE: n - len(way)} if n > len(way) else {}))


def _is_node(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("replies"), list) and "role" in value and isinstance(value.get("text"), str)


def _replies(node: Values) -> list[Values]:
    return [reply for reply in node.get("replies") or () if isinstance(reply, Mapping)]


def _kept(node: Values) -> list[Values]:
    """What was answered, best first: by its rank, else as the file has it; nothing deleted, and nothing that was found to be no answer."""
    found = [one for one in _replies(node) if isinstance(one.get("text"), str) and "role" in one and not _said(one.get("deleted"), "true")]
    found = [one for one in found if not _said(one.get("review_result"), "false")]
    return sorted(found, key=lambda one: _rank(one.get("rank"), len(found)))


def _said(cell: Any, word: str) -> bool:
    """Whether a cell says yes, or no; in a table of texts it is written out."""
    return str(cell).strip().casefold() == word


def _rank(cell: Any, last: int) -> float:
    try:
        found = float(cell)
    except (TypeError, ValueError):
        return last
    return found if math.isfinite(found) else last


def _story(values: Values) -> dict[str, Any] | None:
    """A text with questions about it and their answers, one after another."""
    story = next((name for name in _STORIES if isinstance(values.get(name), str) and values[name].strip()), "")
    asked, told = _texts(values.get("questions")), _texts(values.get("answers"))
    if not story or not asked or len(asked) != len(told):
        return None
    asked[0] = f"{values[story].strip()}\n\n{asked[0]}"
    places = [one.get("span_text") if isinstance(one, Mapping) else None for one in values["answers"]]  # of the Hub's lists: none
    turns: Turns = []
    for question, answer, place in zip_longest(asked, told, places[: len(told)]):
        turns += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        turns[-1].update({"span_text": place} if place else {})
    return _with(values, turns, story, "questions", "answers")


def _texts(value: Any) -> list[str]:
    """Texts given as such, as objects, or as an object of lists as the Hub does; none where one of them is no text."""
    if isinstance(value, Mapping):
        value = value.get("input_text")
    found = [one.get("input_text") if isinstance(one, Mapping) else one for one in value] if isinstance(value, list | tuple) else []
    return [one for one in found if isinstance(one, str)] if all(isinstance(one, str) for one in found) else []


def _moss(values: Values) -> dict[str, Any] | None:
    """MOSS: numbered turns that each hold a question, thoughts, commands and an answer; or all of it written into one text."""
    rounds = values.get("chat")
    if isinstance(rounds, Mapping) and rounds and all(isinstance(one, Mapping) and set(_ROLES) <= set(one) for one in rounds.values()):
        return _with_rule(values, [turn for one in rounds.values() for turn in _round(one)], "chat")
    text = values.get("plain_text")
    said = list(_WRITTEN.finditer(text)) if isinstance(text, str) else []
    if not said or _WRITTEN.sub("", str(text)).strip():
        return None
    return _with_rule(values, [{"role": _ROLES[one[1]], "content": one[2]} for one in said], "plain_text")


def _round(said: Values) -> Turns:
    bare = {str(name): _bare(cell) for name, cell in said.items()}
    asked, told = bare.pop("Human"), bare.pop("MOSS")
    more = {"thoughts" if name == "Inner Thoughts" else name: cell for name, cell in bare.items() if cell not in ("", "None")}
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": told, **more}]


def _bare(cell: Any) -> str:
    """Without the marks that name the speaker and the end."""
    found = _MOSS.fullmatch(cell) if isinstance(cell, str) else None
    return found[1] if found else ""


def _with_rule(values: Values, turns: Turns, taken: str) -> dict[str, Any]:
    rule = values.get("meta_instruction")
    return _with(values, turns, taken, *(("meta_instruction",) if rule else ()), **({"system": rule} if rule else {}))


_SHAPES: tuple[Callable[[Values], dict[str, Any] | None], ...] = (_tree, _story, _moss)
