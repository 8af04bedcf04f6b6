"""Owns turning rows into Examples by their roles. Invariant: every unit read becomes one Example or one LeftOut with a reason.

A unit is a row, except where a row holds several: the `instances` of a seed task, and long text, which is cut into passages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from loralab.core.records import Example, LeftOut, Message, Role
from loralab.datasets.cells import cell_text
from loralab.datasets.passages import LIMIT, passages
from loralab.datasets.readers import Row, Table
from loralab.datasets.shapes import turn_list

_SPEAKERS: dict[str, Role] = {
    **dict.fromkeys(("user", "human", "prompter", "question", "customer", "student"), "user"),
    **dict.fromkeys(("assistant", "gpt", "bot", "model", "chatgpt", "bing", "bard", "agent", "answer", "ai"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
}


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
    return Table(table.source, rows, columns, table.left_out, table.encoding, table.is_prose, table.headed)


def convert(table: Table, roles: Mapping[str, str]) -> Iterator[Example | LeftOut]:
    """One Example or LeftOut per unit of the table, in file order."""
    for row in table.rows:
        if roles.get("messages"):
            yield _conversation(table.source, row, roles)
        elif roles.get("prompt") or roles.get("answer") or roles.get("label"):
            yield _exchange(table.source, row, roles)
        else:
            yield from _texts(table, row, roles["text"])


def _texts(table: Table, row: Row, column: str) -> Iterator[Example | LeftOut]:
    text = cell_text(row.values.get(column))
    if not text.strip():
        yield LeftOut(row=row.number, source=table.source, reason="The text is empty.")
        return
    for passage in [text] if len(text) <= LIMIT else passages(text):
        yield Example(row=row.number, source=table.source, text=passage)


def _exchange(source: str, row: Row, roles: Mapping[str, str]) -> Example | LeftOut:
    """A prompt and its answer; reasoning goes before the answer between think marks, a label is the answer."""
    cell = {role: cell_text(row.values.get(column)) for role, column in roles.items() if column}
    asked = "prompt" if roles.get("prompt") else "text"  # a text to be sorted is the prompt
    prompt = "\n\n".join(part for part in (cell.get(asked, ""), cell.get("input", "")) if part)
    label = cell.get("label") if not roles.get("answer") else None
    answer = cell.get("answer", "") or (label or "")
    if not prompt:
        return LeftOut(row=row.number, source=source, reason=f"The prompt (column “{roles[asked]}”) is empty.")
    if not answer:
        return LeftOut(row=row.number, source=source, reason=f"The answer (column “{roles.get('answer') or roles.get('label')}”) is empty.")
    if cell.get("reasoning"):
        answer = f"<think>\n{cell['reasoning']}\n</think>\n\n{answer}"
    messages = [Message(role="user", content=prompt), Message(role="assistant", content=answer)]
    if cell.get("system"):
        messages.insert(0, Message(role="system", content=cell["system"]))
    return Example(row=row.number, source=source, messages=tuple(messages), label=label)


def _conversation(source: str, row: Row, roles: Mapping[str, str]) -> Example | LeftOut:
    """A list of turns in OpenAI's or ShareGPT's form."""

    def refuse(reason: str) -> LeftOut:
        return LeftOut(row=row.number, source=source, reason=reason)

    turns = turn_list(row.values.get(roles["messages"]))
    if not turns:
        return refuse(f"The column “{roles['messages']}” holds no conversation.")
    messages: list[Message] = []
    for place, turn in enumerate(turns, 1):
        speaker = str(turn.get("role", turn.get("from", ""))).strip().lower()
        content = _content(turn.get("content", turn.get("value")))
        if speaker not in _SPEAKERS:
            return refuse(f"Turn {place} is by “{speaker[:40]}”: user, assistant or system is expected.")
        if content:
            messages.append(Message(role=_SPEAKERS[speaker], content=content))
        elif _SPEAKERS[speaker] != "system":
            return refuse(f"Turn {place} of the conversation is empty.")
    while messages and messages[-1].role != "assistant":
        messages.pop()  # a question nobody answered teaches nothing
    if not any(message.role == "assistant" for message in messages):
        return refuse("The conversation has no answer to learn from.")
    if not any(message.role == "user" for message in messages):
        return refuse("The conversation has no question before its answer.")
    system = cell_text(row.values.get(roles["system"])) if roles.get("system") else ""
    if system and messages[0].role != "system":
        messages.insert(0, Message(role="system", content=system))
    return Example(row=row.number, source=source, messages=tuple(messages))


def _content(value: Any) -> str:
    """Text of a turn; OpenAI also writes it as a list of parts."""
    if isinstance(value, list) and all(isinstance(part, dict) for part in value):
        return "\n".join(cell_text(part["text"]) for part in value if isinstance(part.get("text"), str))
    return cell_text(value)
