"""Owns recognising what the columns of a table are for. Invariant: a guess that rests on statistics alone is never called certain.

Names first (`columns.WORDS`), then what the cells hold. The roles decide the shape, so roles a person gave lead to the same code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from loralab.core.errors import UserError
from loralab.datasets import columns as names
from loralab.datasets.cells import cell_text
from loralab.datasets.readers import Table

_SAMPLE = 500


@dataclass(frozen=True)
class Recognised:
    """What a table is: its shape, which column plays which role, and whether that is sure enough not to ask."""

    shape: str
    roles: dict[str, str]
    certain: bool


@dataclass(frozen=True)
class _Column:
    """What the cells of a column look like."""

    name: str
    filled: float  # share of cells with something in them
    length: float  # mean length in characters of those
    distinct: int
    is_text: bool  # letters, not numbers, links or nested values


def file_shape(columns: Sequence[str]) -> str:
    """A key for files with these columns in any order: under it the roles a person gave are remembered."""
    return hashlib.sha256("\n".join(sorted(columns)).encode()).hexdigest()[:16]


def check_roles(roles: Mapping[str, str]) -> None:
    """Raises UserError when the roles name no way to learn."""
    unknown = [role for role in roles if role not in names.ROLES]
    if unknown:
        raise UserError(f"There is no role called “{unknown[0]}”.", f"Roles: {', '.join(names.ROLES)}.", code="unknown_role")
    filled = {role for role, column in roles.items() if column}
    asks, answers = filled & {"prompt", "text"}, filled & {"answer", "label"}
    if not ("messages" in filled or "text" in filled or (asks and answers)):
        raise UserError("These roles do not say what to learn.", "Name a prompt and an answer, or a text.", code="roles_incomplete")


def recognise(table: Table) -> Recognised:
    """The shape and roles of a table, as sure as its names and cells allow."""
    rows = [row.values for row in _spread(table.rows)]
    if table.is_prose:
        return Recognised("text", {"text": "text"}, True)
    found = _by_messages(table.columns, rows) or _by_names(table, rows)
    if found:
        return found
    return _by_statistics(table.columns, rows)


def shape_of(roles: Mapping[str, str], rows: Sequence[Mapping[str, Any]] = ()) -> str:
    """The shape that roles amount to; `rows` tell ShareGPT conversations from OpenAI messages."""
    if roles.get("messages"):
        turns = next((t for row in rows if (t := turn_list(row.get(roles["messages"])))), [])
        return "sharegpt" if turns and "from" in turns[0] else "messages"
    if roles.get("reasoning"):
        return "reasoning"
    if roles.get("label") and not roles.get("answer"):
        return "label"
    if roles.get("answer"):
        prompt = names.key(roles.get("prompt") or roles.get("text", ""))
        if prompt in ("instruction", "instructions", "task"):
            return "instruction"
        return "question_answer" if prompt in ("question", "questions", "q", "query", "問題", "问题") else "prompt_completion"
    return "text"


def turn_list(value: Any) -> list[dict[str, Any]]:
    """The turns of a conversation, given as a list or as JSON text; empty when the value is no conversation."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return []
    if not isinstance(value, list | tuple) or not value or not all(isinstance(turn, dict) for turn in value):
        return []
    named = any({"role", "content"} <= set(turn) or {"from", "value"} <= set(turn) for turn in value)
    return [dict(turn) for turn in value] if named else []


def _spread(rows: Sequence[Any]) -> list[Any]:
    """A sample over the whole file: files are often sorted, and their beginning is not typical."""
    step = max(1, len(rows) // _SAMPLE)
    return list(rows[::step])


def _by_messages(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Recognised | None:
    for column in columns:
        cells = [row[column] for row in rows if row.get(column)]
        if cells and sum(bool(turn_list(cell)) for cell in cells) >= 0.5 * len(cells):
            roles = {"messages": column}
            system = names.find(names.WORDS["system"], tuple(columns), (column,))
            if system:
                roles["system"] = system
            return Recognised(shape_of(roles, rows), roles, True)
    return None


def _by_names(table: Table, rows: Sequence[Mapping[str, Any]]) -> Recognised | None:
    columns = tuple(column for column in table.columns if not any(turn_list(row.get(column)) for row in rows[:20]))
    prompt = names.find(names.WORDS["prompt"], columns)
    answer = names.find(names.WORDS["answer"], columns, (prompt,))
    given = names.find(names.WORDS["input"], columns, (prompt, answer))
    code = names.find(names.CODE, columns, (answer,))
    if not prompt and answer:
        prompt, given = (given, "") if given else ((code, "") if code else ("", given))
    if prompt and answer:
        roles = {"prompt": prompt, "answer": answer}
        extra = {
            "system": names.find(names.WORDS["system"], columns, (prompt, answer, given)),
            "input": given,
            "reasoning": names.find(names.WORDS["reasoning"], columns, (prompt, answer, given)),
        }
        roles.update({role: column for role, column in extra.items() if column})
        return Recognised(shape_of(roles), roles, True)
    return _labelled(columns, rows, prompt) or _weak(columns, rows)


def _labelled(columns: tuple[str, ...], rows: Sequence[Mapping[str, Any]], prompt: str) -> Recognised | None:
    """A text column and a column of classes, by name; sure only when the classes come again and again."""
    named = names.find(names.WORDS["text"], columns)
    text = named or prompt or names.find(names.WEAK_PROMPT, columns)
    label = names.find(names.WORDS["label"], columns, (text,))
    if not text or not label or not _is_class(_column(label, rows), len(rows)) or (len(columns) > 2 and not named):
        return None
    return Recognised("label", {"text": text, "label": label}, names.key(text) in names.WORDS["text"])


def _weak(columns: tuple[str, ...], rows: Sequence[Mapping[str, Any]]) -> Recognised | None:
    """Names that only suggest: title and poem, name and description; or a single column of text."""
    prompt = names.find(names.WEAK_PROMPT, columns)
    answer = names.find(names.WEAK_ANSWER, columns, (prompt,))
    text = names.find(names.WORDS["text"], columns)
    useful = [column for column in columns if not names.is_about(column)]
    if text and (len(useful) == 1 or (names.key(text) == "text" and not prompt)):
        return Recognised("text", {"text": text}, True)
    if prompt and answer and _column(answer, rows).is_text and names.key(answer) not in ("text", "content"):
        return Recognised("prompt_completion", {"prompt": prompt, "answer": answer}, False)
    if text and names.key(text) in ("text", "content", "document", "article"):
        return Recognised("text", {"text": text}, not prompt or names.key(text) == "text")
    return None


def _by_statistics(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Recognised:
    """The best guess from the cells alone; never certain, except that one column of text is text."""
    looked = [_column(column, rows) for column in columns]
    texts = [c for c in looked if c.is_text and c.filled >= 0.3 and c.distinct > 1 and not names.is_about(c.name)]
    if not texts:
        texts = [c for c in looked if c.filled > 0 and c.length > 0]
    if not texts:
        raise UserError("No column holds text to learn from.", "Choose a file with written examples in it.", code="no_examples")
    classes = [c for c in texts if _is_class(c, len(rows))]
    free = [c for c in texts if c not in classes]
    if len(free) >= 2:
        answer = max(free, key=lambda c: c.length)
        prompt = next(c for c in free if c is not answer)
        if looked.index(prompt) > looked.index(answer) and prompt.length > 0.3 * answer.length:
            prompt, answer = answer, prompt  # of two alike, the first is the question
        return Recognised("prompt_completion", {"prompt": prompt.name, "answer": answer.name}, False)
    if len(free) == 1 and classes:
        return Recognised("label", {"text": free[0].name, "label": min(classes, key=lambda c: c.distinct).name}, False)
    only = (free or texts)[0]
    return Recognised("text", {"text": only.name}, len(columns) == 1)


def _is_class(column: _Column, count: int) -> bool:
    """Few short values that come again."""
    return column.filled >= 0.9 and 1 < column.distinct <= max(2, min(200, count / 3)) and column.length <= 40


def _column(name: str, rows: Sequence[Mapping[str, Any]]) -> _Column:
    cells = [text for row in rows if (text := cell_text(row.get(name)))]
    plain = sum(1 for row in rows if isinstance(row.get(name), dict | list))
    wordy = sum(1 for text in cells if any(char.isalpha() for char in text) and not text.startswith(("http://", "https://")))
    return _Column(
        name=name,
        filled=len(cells) / max(1, len(rows)),
        length=mean(map(len, cells)) if cells else 0.0,
        distinct=len(set(cells)),
        is_text=bool(cells) and wordy >= 0.5 * len(cells) and plain * 2 <= len(rows),
    )
