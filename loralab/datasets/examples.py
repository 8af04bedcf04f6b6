"""Owns turning rows into Examples by their roles. Invariant: every unit read becomes one Example or one LeftOut with a reason.

A unit is a row, except where a row holds several: the `instances` of a seed task, and long text, which is cut into passages.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NoReturn

from loralab.core.records import Example, LeftOut, Message
from loralab.datasets.account import Tally
from loralab.datasets.conversations.contents import words_of
from loralab.datasets.conversations.speakers import LONGEST, cast, pieces
from loralab.datasets.conversations.spoken import NO_ANSWER, messages_of
from loralab.datasets.conversations.turns import Turn, turns_of
from loralab.datasets.formats.cells import cell_text
from loralab.datasets.formats.literals import parsed
from loralab.datasets.formats.passages import LIMIT, passages
from loralab.datasets.formats.structure import described, lines, plain
from loralab.datasets.readers import Row, Table
from loralab.datasets.tables import preferences
from loralab.datasets.tables.columns import NAMES_A_PERSON, WORDS, find

_ALONE = ("turns without a question before or an answer after them", "")


def spread_instances(table: Table) -> Table:
    """The table with seed tasks' nested `instances` laid flat, so that each instance is a row of its own."""
    if "instances" not in table.columns:
        return table
    rows: list[Row] = []
    for row in table.rows:
        instances = row.values.get("instances")
        nested = [item for item in instances if isinstance(item, dict)] if isinstance(instances, list) else []
        outer = {name: value for name, value in row.values.items() if name != "instances"}
        rows.extend(Row(row.number, {**outer, **item}) for item in nested)
        if not nested:
            rows.append(Row(row.number, outer))
    columns = tuple(dict.fromkeys(name for row in rows for name in row.values))
    return replace(table, rows=rows, columns=columns)


def convert(table: Table, roles: Mapping[str, str], tally: Tally | None = None) -> Iterator[Example | LeftOut]:
    """One Example or LeftOut per unit of the table, in file order; what turns hold beside their words goes to `tally`."""
    tally = tally or Tally()
    for row in table.rows:
        if not preferences.is_wanted(row, roles):
            reason = f"The column “{roles['wanted']}” says that this answer is not wanted."
            yield LeftOut(row=row.number, source=table.source, reason=reason)
        elif roles.get("rejected") and roles.get("answer"):
            yield preferences.converted(table.source, row, roles, tally)
        elif roles.get("messages"):
            yield from _conversation(table.source, row, roles, tally, alone=len(table.rows) == 1)
        elif roles.get("prompt") or roles.get("answer") or roles.get("label"):
            yield _exchange(table.source, row, roles, tally)
        else:
            yield from _texts(table, row, roles["text"])


class _Refused(Exception):
    """A row cannot be learned from; the reason is for people."""


def _refuse(reason: str) -> NoReturn:
    raise _Refused(reason)


def _texts(table: Table, row: Row, column: str) -> Iterator[Example | LeftOut]:
    text = lines(row.values.get(column))
    if text is None or not text.strip():
        reason = _no_text(column, row.values[column]) if text is None else "The text is empty."
        yield LeftOut(row=row.number, source=table.source, reason=reason)
        return
    for passage in [text] if len(text) <= LIMIT else passages(text):
        yield Example(row=row.number, source=table.source, text=passage)


def _exchange(source: str, row: Row, roles: Mapping[str, str], tally: Tally) -> Example | LeftOut:
    """A prompt and its answer; reasoning goes before the answer between think marks, a label is the answer."""
    asked = "prompt" if roles.get("prompt") else "text"  # a text to be sorted is the prompt
    told = "answer" if roles.get("answer") else "label"
    try:
        before = [*_system(row, roles), *_history(row, roles)]
        prompt = _said(row, roles, asked, "user")
        given = _words(row, roles, "input")
        answer = _said(row, roles, told, "assistant")
        if given and prompt and prompt[-1].role == "user":
            prompt[-1] = replace(prompt[-1], content="\n\n".join(part for part in (prompt[-1].content, given) if part))
        if not any(turn.content or turn.pictures for turn in prompt):
            _refuse(f"The prompt (column “{roles[asked]}”) is empty.")
        if not any(turn.content or turn.calls for turn in answer):
            _refuse(f"The answer (column “{roles[told]}”) is empty.")
        if thoughts := _words(row, roles, "reasoning"):
            answer[-1] = replace(answer[-1], thoughts=thoughts)
        if prompt[0].role == "system":
            before = [turn for turn in before if turn.role != "system"]
        messages = _messages([*before, *prompt, *answer], roles, tally)
    except _Refused as refused:
        return LeftOut(row=row.number, source=source, reason=str(refused))
    label = messages[-1].content if told == "label" else None
    return Example(row=row.number, source=source, messages=messages, label=label)


def _conversation(source: str, row: Row, roles: Mapping[str, str], tally: Tally, *, alone: bool) -> Iterator[Example | LeftOut]:
    """A conversation, in as many pieces as it is long where it is a chat between people, or all there is; each has its own number."""
    turns = turns_of(row.values.get(roles["messages"]), alternate=True)
    assistant = roles.get(NAMES_A_PERSON)
    said = cast(turns or [], assistant) if assistant else turns or []
    whole = pieces(said) if assistant or (alone and len(said) > 2 * LONGEST) else [(0, said)]
    if assistant and whole and sum(turn.role != "system" for _, piece in whole for turn in piece) < len(said):
        tally.note(_ALONE)
    if not turns or not whole:
        holds = f"The column “{roles['messages']}” holds no conversation."
        reason = f"The conversation has no answer of {assistant} to learn from." if assistant else NO_ANSWER
        yield LeftOut(row=row.number, source=source, reason=reason if turns else holds)
        return
    for place, piece in whole:
        number = row.number + place
        try:
            messages = _with_tools(_messages([*_system(row, roles, piece), *piece], roles, tally), row, roles)
        except _Refused as refused:
            yield LeftOut(row=number, source=source, reason=str(refused))
        else:
            yield Example(row=number, source=source, messages=messages)


def _messages(turns: Sequence[Turn], roles: Mapping[str, str], tally: Tally) -> tuple[Message, ...]:
    """Messages that end with an answer to learn. Raises _Refused where they would not say what the turns say."""
    for place, turn in enumerate(turns, 1):
        if turn.role == "other":
            _refuse(f"Turn {place} is by “{turn.name[:40]}”: user, assistant or system is expected.")
        if turn.role in ("user", "assistant") and not (turn.content or turn.calls or turn.thoughts or turn.pictures):
            _refuse(f"Turn {place} of the conversation is empty.")
    found = messages_of(turns, tally, pictures=bool(roles.get("pictures")))
    return _refuse(found) if isinstance(found, str) else found


def _with_tools(messages: tuple[Message, ...], row: Row, roles: Mapping[str, str]) -> tuple[Message, ...]:
    """The same with what may be called, which is told at the beginning."""
    tools = parsed(row.values.get(roles["tools"])) if roles.get("tools") else None
    if not tools:
        return messages
    return (messages[0].model_copy(update={"tools": json.dumps(tools, ensure_ascii=False, default=str)}), *messages[1:])


# ---- cells -------------------------------------------------------------------------------------------------------------------


def _said(row: Row, roles: Mapping[str, str], role: str, speaker: Literal["user", "assistant"]) -> list[Turn]:
    """What a cell says: turns where it holds such, else its text."""
    value = row.values.get(roles[role])
    if role in ("prompt", "answer") and isinstance(value, list | tuple | dict | str) and (turns := turns_of(value)):
        return turns
    return [Turn(speaker, _words(row, roles, role))]


def _words(row: Row, roles: Mapping[str, str], role: str) -> str:
    column = roles.get(role)
    if not column:
        return ""
    value = row.values.get(column)
    if role == "label" and isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        return ", ".join(value)
    text = plain(value) if role in ("answer", "label") and find(WORDS["answer"], (column,)) else lines(value)
    if text is None:
        _refuse(_no_text(column, value))
    return text


def _no_text(column: str, value: Any) -> str:
    return f"The column “{column}” holds {described(value)} here, which is no text."


def _system(row: Row, roles: Mapping[str, str], turns: Sequence[Turn] = ()) -> list[Turn]:
    """What the column of instructions says, where the turns do not begin with such."""
    if not roles.get("system") or (turns and turns[0].role == "system" and turns[0].content):
        return []
    value = row.values.get(roles["system"])
    inner = turns_of(value) if isinstance(value, dict | list) else None
    text = "\n".join(turn.content for turn in inner) if inner else words_of(value)
    if text is None:
        _refuse(_no_text(roles["system"], value))
    return [Turn("system", text)] if text else []


def _history(row: Row, roles: Mapping[str, str]) -> list[Turn]:
    """The turns before the question."""
    value = row.values.get(roles["history"]) if roles.get("history") else None
    if value in ([], "[]") or (not isinstance(value, list | tuple | dict) and not cell_text(value)):
        return []
    turns = turns_of(value, alternate=True)
    if turns is None:
        _refuse(f"The column “{roles['history']}” holds {described(value)}, which is no conversation.")
    return [turn for turn in turns if turn.content]
