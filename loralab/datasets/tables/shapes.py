"""Owns recognising what the columns of a table are for. Invariant: a guess that rests on statistics alone is never called certain.

Names first (`columns.WORDS`), then what the cells hold. The roles decide the shape, so roles a person gave lead to the same code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any

from loralab.core.errors import Offered, UserError
from loralab.datasets.conversations.speakers import is_between_names, likely, speakers
from loralab.datasets.conversations.turns import Turn, turns_of
from loralab.datasets.formats.structure import described, form, plain
from loralab.datasets.readers import Table
from loralab.datasets.tables import columns as names
from loralab.datasets.tables import preferences

_SAMPLE = 500
_QUESTIONS = frozenset(map(names.key, names.QUESTIONS))
_SHORT, _FEW_WORDS = 25, 3  # mean characters and words of cells that are names, numbers or dates rather than something said


@dataclass(frozen=True)
class Recognised:
    """What a table is: its shape, which column plays which role, and whether that is sure enough not to ask."""

    shape: str
    roles: dict[str, str]
    certain: bool
    speakers: tuple[str, ...] = ()  # names of those who speak, where it is asked which of them the model is to be


@dataclass(frozen=True)
class _Column:
    """What the cells of a column look like."""

    name: str
    filled: float  # share of cells with something in them
    length: float  # mean length in characters of those
    words: float  # mean number of words
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
    whole = filled & {"messages", "text", names.NAMES_A_PERSON} or {"answer", "rejected"} <= filled
    if not (whole or (asks and answers)):
        raise UserError("These roles do not say what to learn.", "Name a prompt and an answer, or a text.", code="roles_incomplete")


def recognise(table: Table) -> Recognised:
    """The shape and roles of a table, as sure as its names and cells allow. Raises UserError where no column holds text."""
    if table.is_prose:
        return Recognised("text", {"text": "text"}, True)
    rows = [row.values for row in _spread(table.rows)]
    if preferred := preferences.recognise(table.columns, rows):
        return Recognised(shape_of(preferred), preferred, True)
    table = replace(table, columns=tuple(column for column in table.columns if not preferences.is_rejected(column)))
    talks = {column: found for column in table.columns if (found := conversations(column, rows))}
    found = _by_messages(table.columns, talks, rows)
    if found:
        return found
    forms = {column: form(row.get(column) for row in rows) for column in table.columns}
    texts = tuple(column for column in table.columns if forms[column] in ("text", "texts"))
    named = _by_names(texts, rows) or _with_written(table.columns, forms, talks, rows)
    if not named and (spare := next((column for column in talks if _is_talk(column, talks[column])), "")):
        return _talk(spare, table.columns, talks, rows)
    if not named and (listed := _in_turn(table.columns, forms, rows)):
        return Recognised("messages", {"messages": listed}, False)
    if not named and (nested := _missing(table.columns, texts, forms)):
        raise _not_text(nested, rows)
    named = named or _by_statistics(texts, rows, len(table.columns))
    if odd := _only_beside(named, table.columns, forms, rows):
        raise _not_text(odd, rows)
    unsure = {forms[column] for role, column in named.roles.items() if role not in ("answer", "history") and column in forms} - {"text"}
    several = any(forms.get(named.roles.get(role, "")) == "texts" for role in ("answer", "label"))
    several = several or bool(named.roles.get("answer") and forms.get(names.find(names.OPTIONS, table.columns)) in ("texts", "nested"))
    return replace(named, roles=_with_turns(named.roles, talks), certain=named.certain and not unsure and not several)


def taken(table: Table, roles: dict[str, str]) -> Recognised:
    """A table with the roles that a person gave. Raises UserError where a column holds no text.

    The name of who answers may be given alone, and is asked for where it is missing.
    """
    rows = [row.values for row in _spread(table.rows)]
    who = roles.get(names.NAMES_A_PERSON, "")
    if set(roles) == {names.NAMES_A_PERSON}:
        known = recognise(table)
        if "messages" not in known.roles:
            return known
        roles = {**known.roles, **roles}
    _check_text(roles, rows)
    found = conversations(roles.get("messages", ""), rows, chosen=True)
    people = speakers(found) if found and (who or is_between_names(found)) else ()
    if people and not who:
        return Recognised("messages", {**roles, names.NAMES_A_PERSON: likely(found)}, False, people)
    return Recognised(shape_of(roles, rows), roles, True, people)


def with_everybody(table: Table, known: Recognised) -> Recognised:
    """With the names of all who speak, not only of those in the rows that were looked at: whoever is left out cannot be renamed."""
    if not known.speakers or len(table.rows) < 2 * _SAMPLE:
        return known
    return replace(known, speakers=speakers(conversations(known.roles["messages"], [row.values for row in table.rows], chosen=True)))


def _check_text(roles: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> None:
    for role in ("prompt", "text", "label", "answer", "input"):
        column = roles.get(role, "")
        kind = form(row.get(column) for row in rows) if column else "text"
        if (kind == "nested" or (kind == "written" and role in ("text", "label"))) and not conversations(column, rows):
            raise _not_text(column, rows)


def _not_text(column: str, rows: Sequence[Mapping[str, Any]]) -> UserError:
    """The refusal of a column; where another one holds sentences, with the offer to learn to write like those."""
    cell = next((row[column] for row in rows if row.get(column)), None)
    what = f"Each row of “{column}” holds {described(cell)}, which is no text to learn from."
    todo = "Put the words to learn into a column of text: one for the question and one for the answer. Then choose the file again."
    others = [name for row in rows[:1] for name in row if name != column and not names.is_about(name)]
    spoken = [found for found in (_column(name, rows) for name in others) if found.is_text and found.words > _FEW_WORDS]
    nearest = max(spoken, key=lambda found: found.length, default=None)
    if nearest is None or form(row.get(nearest.name) for row in rows) != "text":
        return UserError(what, todo, code="not_text")
    todo = f"“{nearest.name}” holds sentences: you can have it learn to write like those, and nothing else. Or: {todo[0].lower()}{todo[1:]}"
    return Offered(what, todo, "not_text", f"Learn to write like “{nearest.name}”", {"text": nearest.name})


def _missing(columns: Sequence[str], texts: Sequence[str], forms: Mapping[str, str]) -> str:
    """A column that would be the question or the answer and holds no text; any such one where none holds text."""
    for words in (names.WORDS["answer"], names.WORDS["messages"], names.WORDS["prompt"]):
        found = names.find(words, tuple(columns))
        if found and forms[found] not in ("text", "texts"):
            return found
    useful = [column for column in texts if not names.is_about(column)]
    return "" if useful else next((column for column in columns if forms[column] not in ("text", "texts")), "")


def _in_turn(columns: Sequence[str], forms: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> str:
    """A column of lists of texts, where there is no other with words in it: perhaps what two people say in turn."""
    told = [column for column in columns if not names.is_about(column) and forms[column] in ("text", "texts")]
    useful = [column for column in told if _column(column, rows).is_text]
    if len(useful) != 1 or forms[useful[0]] != "texts":
        return ""
    cells = [row[useful[0]] for row in rows if row.get(useful[0])]
    return useful[0] if all(isinstance(cell, list) and len(cell) % 2 == 0 for cell in cells) else ""


def _is_talk(column: str, found: Sequence[Sequence[Turn]]) -> bool:
    """Whether it is called a conversation, or somebody asks in it and somebody answers."""
    asked = any(turn.role in ("user", "other") for turn in found[0])
    return bool(names.find(names.WORDS["messages"], (column,))) or (asked and _has_answer(found))


def _only_beside(named: Recognised, columns: Sequence[str], forms: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> str:
    """A column of lists or objects where what was found beside it are numbers, names and dates; else ""."""
    odd = next((column for column in columns if forms[column] in ("nested", "written")), "")
    if named.certain or not odd or named.shape == "label":
        return ""
    looked = [_column(column, rows) for column in named.roles.values() if column in forms]
    return "" if all(column.length >= _SHORT or column.words > _FEW_WORDS for column in looked) else odd


def _with_written(
    columns: Sequence[str], forms: Mapping[str, str], talks: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> Recognised | None:
    """A question and its answer where one is an object written as text: that may be just what is to be learned."""
    found = _by_names(tuple(column for column in columns if column not in talks and forms[column] != "nested"), rows)
    return found if found and found.roles.get("prompt") and found.roles.get("answer") else None


def _with_turns(roles: dict[str, str], talks: Mapping[str, Any]) -> dict[str, str]:
    """The roles, with what columns of turns say before the question."""
    if not roles.get("prompt"):
        return roles
    more = {role: names.find(names.WORDS[role], tuple(talks)) for role in ("history", "system") if not roles.get(role)}
    return {**roles, **{role: column for role, column in more.items() if column and column not in roles.values()}}


def shape_of(roles: Mapping[str, str], rows: Sequence[Mapping[str, Any]] = ()) -> str:
    """The shape that roles amount to; `rows` tell ShareGPT conversations from OpenAI messages."""
    if roles.get("rejected") and roles.get("answer"):
        return "preference"
    if roles.get("messages"):
        cells = (row.get(roles["messages"]) for row in rows)
        first = next((cell[0] for cell in cells if isinstance(cell, list) and cell and isinstance(cell[0], dict)), {})
        return "sharegpt" if {"from", "value"} <= set(first) else "messages"
    if roles.get("reasoning"):
        return "reasoning"
    if roles.get("label") and not roles.get("answer"):
        return "label"
    return _exchanged(names.key(roles.get("prompt") or roles.get("text", ""))) if roles.get("answer") else "text"


def _exchanged(prompt: str) -> str:
    if prompt in ("instruction", "instructions", "task"):
        return "instruction"
    return "question_answer" if prompt in _QUESTIONS else "prompt_completion"


def conversations(column: str, rows: Sequence[Mapping[str, Any]], *, chosen: bool = False) -> list[list[Turn]]:
    """The conversations in a column where most of its cells are such; else none. `chosen`: somebody says that it is one."""
    cells = [row[column] for row in rows if row.get(column)]
    if not cells or not any(isinstance(cell, list | tuple | dict | str) for cell in cells[:20]):
        return []
    alternate = chosen or bool(names.find((*names.WORDS["messages"], *names.WORDS["history"]), (column,)))
    found = [turns for cell in cells if (turns := turns_of(cell, alternate=alternate))]
    return found if len(found) * 2 >= len(cells) else []


def _spread(rows: Sequence[Any]) -> list[Any]:
    """A sample over the whole file: files are often sorted, and their beginning is not typical."""
    step = max(1, len(rows) // _SAMPLE)
    return list(rows[::step])


def _by_messages(columns: Sequence[str], talks: Mapping[str, list[list[Turn]]], rows: Sequence[Mapping[str, Any]]) -> Recognised | None:
    """Whole conversations in one column, by its name or by what they are; or a prompt and an answer that are turns."""
    prompt = names.find((*names.WORDS["prompt"], *names.WORDS["messages"], *names.WORDS["input"]), tuple(talks))
    answer = names.find(names.WORDS["answer"], tuple(columns), (prompt,))
    if not prompt and answer in talks and not any(turn.role == "user" for turn in talks[answer][0]):
        prompt = names.find(names.WORDS["prompt"], tuple(columns), (answer,))
        return Recognised("prompt_completion", _with_turns({"prompt": prompt, "answer": answer}, talks), True) if prompt else None
    if prompt and answer and (answer in talks or not _has_answer(talks[prompt])):
        roles = {"prompt": prompt, "answer": answer, "system": names.find(names.WORDS["system"], tuple(columns), (prompt, answer))}
        return Recognised("messages", {role: column for role, column in roles.items() if column}, True)
    plainly = [column for column in talks if _has_answer(talks[column]) and names.find(names.WORDS["messages"], (column,))]
    others = [c for c in talks if _has_answer(talks[c]) and not names.find(names.WORDS["history"], (c,)) and _is_spoken(talks[c])]
    column = names.find(names.WORDS["messages"], tuple(plainly)) or next(iter(others), "")
    return _talk(column, columns, talks, rows) if column else None


def _talk(column: str, columns: Sequence[str], talks: Mapping[str, list[list[Turn]]], rows: Sequence[Mapping[str, Any]]) -> Recognised:
    roles = {"messages": column}
    for role in ("system", "tools"):
        if beside := names.find(names.WORDS[role], tuple(columns), (column,)):
            roles[role] = beside
    found = talks[column]
    if is_between_names(found):
        roles[names.NAMES_A_PERSON] = likely(found)
        return Recognised("messages", roles, False, speakers(found))
    cells = (row.get(column) for row in rows)
    bare = any(isinstance(cell, list | tuple) and cell and all(isinstance(part, str) for part in cell) for cell in cells)
    return Recognised(shape_of(roles, rows), roles, not bare or any(turn.name for turn in found[0]))


def _has_answer(found: Sequence[Sequence[Turn]]) -> bool:
    """Whether most of them hold an answer, or are between people who go by names."""
    return 2 * sum(any(turn.role in ("assistant", "other") for turn in turns) for turns in found) >= len(found) > 0


def _is_spoken(found: Sequence[Sequence[Turn]]) -> bool:
    """Whether the turns name their speakers: a list of questions with answers may be something else, examples for instance."""
    return all(turn.name for turn in found[0])


def _by_names(columns: tuple[str, ...], rows: Sequence[Mapping[str, Any]]) -> Recognised | None:
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
    return _labelled(columns, rows, prompt) or _of_text(columns, prompt) or _weak(columns, rows)


def _of_text(columns: tuple[str, ...], prompt: str) -> Recognised | None:
    """A text with its summary, or with an answer: which is learned from is asked."""
    told = names.find((*names.WORDS["answer"], *names.SUMMARIES), columns)
    text = names.find((*names.WORDS["text"], *names.WORDS["messages"]), columns, (told,))
    return Recognised("prompt_completion", {"prompt": text, "answer": told}, False) if told and text and not prompt else None


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


def _by_statistics(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], width: int) -> Recognised:
    """The best guess from the cells, helped by words within the names; never certain, except that one column of text is text.

    What is said is longer than names, numbers and dates: those are taken only where there is nothing else.
    """
    looked = [_column(column, rows) for column in columns]
    texts = [c for c in looked if c.is_text and c.filled >= 0.3 and c.distinct > 1 and not names.is_about(c.name)]
    if not texts:
        texts = [c for c in looked if c.filled > 0 and c.length > 0]
        if len(texts) > 1 and not any(_wordy(row.get(c.name)) for c in texts for row in rows):
            what = "The columns hold only numbers and signs, no words: a language model learns from words."
            raise UserError(what, "Choose a file with written examples in it.", code="no_examples")
    if not texts:
        raise UserError("No column holds text to learn from.", "Choose a file with written examples in it.", code="no_examples")
    classes = [c for c in texts if _is_class(c, len(rows))]
    free = [c for c in texts if c not in classes]
    said = [c for c in free if c.length >= _SHORT or c.words > _FEW_WORDS]
    if len(said) >= 2 or (len(free) >= 2 and not (said and classes)):
        roles = _pair(said if len(said) >= 2 else free)
        return Recognised(shape_of(roles), roles, False)
    if free and classes:
        return _sorted_by((said or free)[0], classes)
    told = max(classes, key=lambda c: c.length, default=None)  # words that come again: still said, beside names of classes
    if told and (told.length >= _SHORT or told.words > _FEW_WORDS) and len(classes) > 1:
        return _sorted_by(told, [c for c in classes if c is not told])
    only = (free or texts)[0]
    return Recognised("text", {"text": only.name}, width == 1)


def _sorted_by(text: _Column, classes: Sequence[_Column]) -> Recognised:
    """A guess: texts with the column of classes whose name says so, else the one with the fewest."""
    label = min(classes, key=lambda c: (names.find(names.WORDS["label"], (c.name,)) == "", c.distinct))
    return Recognised("label", {"text": text.name, "label": label.name}, False)


def _pair(columns: Sequence[_Column]) -> dict[str, str]:
    """Which of several columns of text is the question and which the answer: by a word in the name, else the two longest."""
    by_length = sorted(columns, key=lambda c: c.length, reverse=True)
    answer = next((c for c in by_length if names.suggests(names.ANSWERING, c.name)), None)
    prompt = next((c for c in by_length if names.suggests(names.ASKING, c.name) and c is not answer), None)
    if answer is None:
        answer = next(c for c in by_length if c is not prompt)
        if prompt is None:
            prompt = next(c for c in by_length if c is not answer)
            if columns.index(prompt) > columns.index(answer) and prompt.length > 0.3 * answer.length:
                prompt, answer = answer, prompt  # of two alike, the first is the question
    prompt = prompt or next(c for c in by_length if c is not answer)
    return {"prompt": prompt.name, "answer": answer.name}


def _wordy(cell: Any) -> bool:
    return any(char.isalpha() for char in plain(cell) or "")


def _is_class(column: _Column, count: int) -> bool:
    """Few short values that come again."""
    return column.filled >= 0.9 and 1 < column.distinct <= max(2, min(200, count / 3)) and column.length <= 40


def _column(name: str, rows: Sequence[Mapping[str, Any]]) -> _Column:
    cells = [text for row in rows if (text := plain(row.get(name)))]
    wordy = sum(1 for text in cells if any(char.isalpha() for char in text) and not text.startswith(("http://", "https://")))
    return _Column(
        name=name,
        filled=len(cells) / max(1, len(rows)),
        length=mean(map(len, cells)) if cells else 0.0,
        words=mean(len(text.split()) for text in cells) if cells else 0.0,
        distinct=len(set(cells)),
        is_text=bool(cells) and wordy >= 0.5 * len(cells),
    )
