"""Owns what is put right in a table before its columns are looked at: names that are one, rows that hold several, or one message.

Invariant: no cell is lost; a row that becomes part of another one is in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from loralab.core.records import LeftOut
from loralab.datasets.conversations.chats import Chat, Said, moment
from loralab.datasets.conversations.dialogues import replies_below, unfolded
from loralab.datasets.conversations.speakers import LONGEST
from loralab.datasets.conversations.turns import ROLE_OF, turns_of
from loralab.datasets.examples import spread_instances
from loralab.datasets.formats.cells import cell_text
from loralab.datasets.formats.structure import plain
from loralab.datasets.readers import Row, Table
from loralab.datasets.tables.columns import WORDS, find, is_known, key
from loralab.datasets.tables.restated import restated

_WHO = ("role", "from", "speaker", "sender", "author", "sender_name", "who", "participant", "speaker_name", "party", "name", "type")
_WHAT = ("content", "text", "message", "value", "utterance", "body", "mes", "msg", "sentence", "turn_text")
_WHOSE = (
    *("conversation_id", "conversationid", "dialogue_id", "dialog_id", "conv_id", "convo_id", "chat_id", "session_id", "thread_id"),
    *("message_tree_id", "topic_id"),
    *("conversation", "dialogue", "dialog", "session", "thread", "chat", "ticket_id", "call_id", "id"),
)
_FLAGS = {
    "isuser": ("user", "assistant"),
    "isbot": ("assistant", "user"),
    "fromuser": ("user", "assistant"),
    "isassistant": ("assistant", "user"),
}
_LOOKED_AT = 50  # rows
_FIELDS = 8  # of an object that is only a few texts
_WHEN = ("date", "time", "timestamp", "datetime", "date_time", "sent", "sent_at", "created_at", "created", "moment")
_PEOPLE = 12  # in one chat
_NO_MESSAGE = "It holds no message."
_KNOWN = 0.9  # of the rows: their speakers are called user, assistant and so on


def tidy(table: Table) -> Table:
    """The table with one column for each name, one row for each instance, and messages gathered to conversations."""
    if table.is_prose:
        return table
    named = restated(spread_instances(_with_one_name(_all_named(table))))
    return _gathered(_flattened(_with_trees(unfolded(replies_below(named)))))


def _all_named(table: Table) -> Table:
    """Columns without a name, by their place: the role of a column is given by its name."""
    best = {column: f"column {place}" for place, column in enumerate(table.columns, 1) if not column.strip()}
    if not best:
        return table
    rows = [Row(row.number, _renamed(row.values, best)) for row in table.rows]
    return replace(table, rows=rows, columns=tuple(dict.fromkeys(best.get(column, column) for column in table.columns)))


def _with_one_name(table: Table) -> Table:
    """Columns that differ by blanks or capital letters as one, where no row fills both of them."""
    alike: dict[str, list[str]] = {}
    for column in table.columns:
        alike.setdefault(" ".join(column.casefold().split()), []).append(column)
    doubled = [names for names in alike.values() if len(names) > 1 and not any(_filled(row, names) > 1 for row in table.rows)]
    if not doubled:
        return table
    used = Counter(name for row in table.rows for name in row.values)
    best = {name: max(names, key=lambda one: (used[one], one == one.strip())) for names in doubled for name in names}
    rows = [Row(row.number, _renamed(row.values, best)) for row in table.rows]
    return replace(table, rows=rows, columns=tuple(dict.fromkeys(best.get(column, column) for column in table.columns)))


def _filled(row: Row, names: Sequence[str]) -> int:
    return sum(row.values.get(name) not in (None, "") for name in names)


def _renamed(values: Mapping[str, Any], best: Mapping[str, str]) -> dict[str, Any]:
    renamed: dict[str, Any] = {}
    for name, cell in values.items():
        to = best.get(name, name)
        if to not in renamed or renamed[to] in (None, ""):
            renamed[to] = cell
    return renamed


# ---- objects in cells ------------------------------------------------------------------------------------------------------------


def _with_trees(table: Table) -> Table:
    """ChatGPT's tree of messages together with which of its leaves was shown."""
    if not {"mapping", "current_node"} <= set(table.columns):
        return table
    parts = ("mapping", "current_node")
    rows = [
        Row(row.number, {**_without(row.values, parts), "conversation": {name: row.values.get(name) for name in parts}})
        for row in table.rows
    ]
    return replace(table, rows=rows, columns=(*_without(dict.fromkeys(table.columns), parts), "conversation"))


def _flattened(table: Table) -> Table:
    """Objects that only hold a few texts, as a column for each: {"translation": {"en": ..., "de": ...}}."""
    nested: dict[str, dict[str, str]] = {}
    for column in table.columns:
        fields = _fields(column, [row.values.get(column) for row in table.rows[:_LOOKED_AT]])
        taken = {*table.columns, *(name for names in nested.values() for name in names.values())}
        if fields:
            nested[column] = {name: name if is_known(name) and name not in taken else f"{column}.{name}" for name in fields}
    if not nested:
        return table
    rows = [Row(row.number, _flat(row.values, nested)) for row in table.rows]
    return replace(table, rows=rows, columns=tuple(dict.fromkeys(name for row in rows for name in row.values)))


def _fields(column: str, cells: Sequence[Any]) -> tuple[str, ...]:
    """The fields of objects that hold texts for the most part, and are no turns; of a question or an answer only one that is known."""
    filled = [cell for cell in cells if cell not in (None, "", {})]
    if not filled or not all(isinstance(cell, dict) and len(cell) <= _FIELDS for cell in filled) or plain(filled[0]) is not None:
        return ()
    values = [value for cell in filled for value in cell.values()]
    texts = sum(isinstance(value, str) for value in values)
    turns = turns_of(filled[0]) or []
    if 2 * texts < len(values) or any(isinstance(value, list | dict) for value in values) or len(turns) > 1 or any(t.name for t in turns):
        return ()
    names = tuple(dict.fromkeys(str(name) for cell in filled for name in cell))
    is_sentence = find((*WORDS["prompt"], *WORDS["input"], *WORDS["answer"]), (column,))
    return () if is_sentence and sum(map(is_known, names)) != 1 else names


def _flat(values: Mapping[str, Any], nested: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, cell in values.items():
        if name in nested and isinstance(cell, dict):
            flat.update({nested[name].get(str(inner), f"{name}.{inner}"): value for inner, value in cell.items()})
        else:
            flat[name] = cell
    return flat


def _without(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: cell for name, cell in values.items() if name not in names}


# ---- messages as rows ----------------------------------------------------------------------------------------------------------


def _gathered(table: Table) -> Table:
    """Rows that are one message each, as conversations: of each number of a conversation, or one after another."""
    what = find(_WHAT, table.columns)
    who = next((column for column in table.columns if key(column) in _FLAGS), "") or find(_WHO, table.columns, (what,))
    asks = find(WORDS["prompt"], table.columns, (who, what)) and find(WORDS["answer"], table.columns, (who, what))
    if not who or not what or asks:
        return table
    rows = [row for row in table.rows if row.values.get(what) is not None]
    if len(rows) < max(2, _KNOWN * len(table.rows)):
        return table
    said = [(row, _speaker(who, row.values.get(who)), row.values.get(what)) for row in rows]
    if any(isinstance(cell, list | dict) for _, _, cell in said[:_LOOKED_AT]) or not all(name for _, name, _ in said[:_LOOKED_AT]):
        return table
    roles = Counter(ROLE_OF.get(key(name), "other") for _, name, _ in said)
    known = roles["other"] <= (1 - _KNOWN) * len(said) and roles["user"] > 0 and (roles["assistant"] > 0 or roles["system"] > 1)
    whose = find(_WHOSE, table.columns, (who, what))
    groups = _by_number(rows, whose) if whose else []
    if not groups and not known:
        return _dated(table, said, who, what)
    if groups and not known and not _are_talks([[said[at][1] for at in group] for group in groups]):
        return table
    groups = groups or _in_pieces([ROLE_OF.get(key(name), "other") for _, name, _ in said])
    return _as_conversations(table, groups, said, who, what)


def _dated(table: Table, said: Sequence[tuple[Row, str, Any]], who: str, what: str) -> Table:
    """A log of what a few people said, with when: a chat between them."""
    when = find(_WHEN, table.columns, (who, what))
    people = [name for _, name, _ in said]
    changes = sum(before != after for before, after in pairwise(people))
    if not when or not 2 <= len(set(people)) <= _PEOPLE or 4 * changes < len(people):
        return table
    chat = Chat("", "", tuple(Said(row.number, name, cell_text(cell), moment(row.values.get(when))) for row, name, cell in said))
    found = list(chat.rows())
    lost = [LeftOut(row=number, source=table.source, reason=reason) for number, _, reason in found if reason]
    rows = [Row(number, values) for number, values, reason in found if not reason]
    return replace(table, rows=rows, left_out=[*table.left_out, *lost], columns=("conversation",)) if rows else table


def _speaker(column: str, cell: Any) -> str:
    flag = _FLAGS.get(key(column))
    if flag:
        return flag[0] if str(cell).strip().casefold() in ("true", "1", "1.0", "yes") else flag[1]
    return cell_text(cell) if not isinstance(cell, list | dict) else ""


def _by_number(rows: Sequence[Row], column: str) -> list[list[int]]:
    """Places of the rows with the same number of a conversation; none where each has its own, or all have one."""
    groups: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        groups.setdefault(cell_text(row.values.get(column)), []).append(place)
    return list(groups.values()) if 2 * len(groups) <= len(rows) and "" not in groups else []


def _are_talks(groups: Sequence[Sequence[str]]) -> bool:
    """Whether most groups have two to six speakers who take turns."""
    return 2 * sum(2 <= len(set(names)) <= 6 for names in groups) > len(groups)


def _in_pieces(roles: Sequence[str]) -> list[list[int]]:
    """One long talk, cut before a system message, or where a user speaks again and it has become long."""
    pieces: list[list[int]] = [[]]
    for place, role in enumerate(roles):
        last = pieces[-1]
        begins = role == "system" and "user" in roles[last[0] : place] if last else False
        answered = place > 0 and roles[place - 1] not in ("user", "system")
        if last and (begins or (role == "user" and answered and len(last) >= LONGEST)):
            pieces.append([])
        pieces[-1].append(place)
    return pieces


def _as_conversations(table: Table, groups: Sequence[Sequence[int]], said: Sequence[tuple[Row, str, Any]], who: str, what: str) -> Table:
    rows: list[Row] = []
    for group in groups:
        turns = [{**said[at][0].values, "role": said[at][1], "content": said[at][2]} for at in group]
        turns = [{name: cell for name, cell in turn.items() if name not in {who, what} - {"role", "content"}} for turn in turns]
        same = {name: cell for name, cell in said[group[0]][0].values.items() if all(said[at][0].values.get(name) == cell for at in group)}
        own = [{name: cell for name, cell in turn.items() if name not in same or name in ("role", "content")} for turn in turns]
        kept = {name: cell for name, cell in same.items() if name not in (who, what)}
        rows.append(Row(said[group[0]][0].number, {**kept, "conversation": own}))
    if not turns_of(rows[0].values["conversation"]):
        return table
    silent = [LeftOut(row=row.number, source=table.source, reason=_NO_MESSAGE) for row in table.rows if row.values.get(what) is None]
    return replace(
        table, rows=rows, left_out=[*table.left_out, *silent], columns=tuple(dict.fromkeys(name for row in rows for name in row.values))
    )
