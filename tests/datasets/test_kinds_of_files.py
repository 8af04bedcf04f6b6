"""Files of the kinds that people have, in many layouts: the same questions and answers come out of each, or it is said why not."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loralab.core.errors import UserError
from loralab.core.records import Example
from loralab.datasets.dataset import Loaded
from loralab.datasets.loading import load_examples

CASES = Path(__file__).parent / "cases"
QA = [(f"When does office {at} open?", f"Office {at} opens at {at % 12 + 1}.") for at in range(12)]
PLAIN = [[("user", asked), ("assistant", told)] for asked, told in QA]
LED = [[("system", "Be brief."), *turns] for turns in PLAIN]


def read(path: Path, roles: dict[str, str] | None = None) -> tuple[list[list[tuple[str, str]]], Loaded]:
    examples, loaded = load_examples(path, roles)
    assert loaded.n_read == len(examples) + len(loaded.left_out)
    assert all(lost.reason for lost in loaded.left_out)
    return [said(example) for example in examples], loaded


def said(example: Example) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in example.messages] or [("text", example.text)]


def lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def table(rows: list[dict[str, Any]], written: Callable[[Any], str] = repr) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(rows[0])
    writer.writerows([cell if isinstance(cell, str | int) else written(cell) for cell in row.values()] for row in rows)
    return out.getvalue()


def openai(asked: str, told: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": told}]


def numpy_text(turns: list[dict[str, Any]]) -> str:
    return "[" + "\n ".join(map(repr, turns)) + "]"


ROWS: dict[str, Callable[[str, str], dict[str, Any]]] = {
    "messages": lambda q, a: {"messages": openai(q, a)},
    "under another name": lambda q, a: {"data_point": openai(q, a), "n": 1},
    "a list of one pair": lambda q, a: {"conversation": [{"input": q, "output": a}]},
    "human and assistant": lambda q, a: {"conversation": [{"human": q, "assistant": a}], "conversation_id": 3},
    "from and content": lambda q, a: {"conversation": [{"from": "user", "content": q}, {"from": "assistant", "content": a}]},
    "speaker and text": lambda q, a: {"dialogue": [{"speaker": "user", "text": q}, {"speaker": "bot", "text": a}]},
    "sender and message": lambda q, a: {"chat": [{"sender": "customer", "message": q}, {"sender": "agent", "message": a}]},
    "user and system": lambda q, a: {"dialog": [{"speaker": "USR", "utterance": q}, {"speaker": "SYSTEM", "utterance": a}]},
    "vertex": lambda q, a: {"contents": [{"role": "user", "parts": [{"text": q}]}, {"role": "model", "parts": [{"text": a}]}]},
    "parts as texts": lambda q, a: {"contents": [{"role": "user", "parts": [q]}, {"role": "model", "parts": a}]},
    "parts of content": lambda q, a: {"messages": [{"role": "user", "content": [{"type": "text", "text": q}]}, openai(q, a)[1]]},
    "nested once": lambda q, a: {"data": {"messages": openai(q, a)}, "id": 4},
    "nested as a request": lambda q, a: {"custom_id": "x", "body": {"model": "m", "messages": openai(q, a)}},
    "numbered": lambda q, a: {"messages": dict(enumerate(openai(q, a)))},
    "lists side by side": lambda q, a: {"conversations": {"from": ["human", "gpt"], "value": [q, a]}},
    "as JSON text": lambda q, a: {"messages": json.dumps(openai(q, a))},
    "as Python text": lambda q, a: {"messages": repr(openai(q, a))},
    "as numpy prints it": lambda q, a: {"messages": numpy_text(openai(q, a))},
    "prompt and completion as turns": lambda q, a: {"prompt": openai(q, a)[:1], "completion": openai(q, a)[1:]},
    "prompt as turns, answer as text": lambda q, a: {"prompt": openai(q, a)[:1], "answer": a},
    "messages without the answer": lambda q, a: {"messages": openai(q, a)[:1], "response": a},
    "completion as one turn": lambda q, a: {"prompt": q, "completion": {"role": "assistant", "content": a}},
    "langchain": lambda q, a: {"messages": [{"type": "human", "data": {"content": q}}, {"type": "ai", "data": {"content": a}}]},
    "claude": lambda q, a: {
        "name": "x",
        "chat_messages": [{"sender": "human", "text": q, "content": []}, {"sender": "assistant", "text": a}],
    },
    "lists of two": lambda q, a: {"conversation": [["user", q], ["assistant", a]]},
    "labelled texts": lambda q, a: {"dialog": [f"User: {q}", f"Assistant: {a}"]},
    "with an empty system": lambda q, a: {"messages": [{"role": "system", "content": ""}, *openai(q, a)], "system": None},
    "answers of SQuAD": lambda q, a: {"question": q, "answers": {"text": [a], "answer_start": [3]}},
    "an answer in a list": lambda q, a: {"question": q, "answer": [a]},
    "an answer with its other names": lambda q, a: {"question": q, "answer": {"value": a, "aliases": ["b"]}},
    "an empty history": lambda q, a: {"instruction": q, "input": "", "output": a, "history": []},
    "a question nobody answers at the end": lambda q, a: {"messages": [*openai(q, a), {"role": "user", "content": "And then?"}]},
    "names of other columns in capitals": lambda q, a: {"Question ": q, "ANSWER": a},
    "examples beside": lambda q, a: {"instruction": q, "output": a, "examples": [{"input": "x", "output": "y"}]},
    "a score of each": lambda q, a: {"messages": openai(q, a), "scores": [1, 2], "meta": {"a": 1}},
}


@pytest.mark.parametrize("kind", ROWS)
def test_rows_in_every_form_give_the_same_examples(tmp_path: Path, kind: str) -> None:
    rows = [ROWS[kind](asked, told) for asked, told in QA]
    (tmp_path / "a.jsonl").write_text(lines(rows), "utf-8")
    (tmp_path / "b.json").write_text(json.dumps(rows, indent=1), "utf-8")
    (tmp_path / "c.json").write_text(json.dumps({"data": rows}), "utf-8")
    for name in ("a.jsonl", "b.json", "c.json"):
        examples, loaded = read(tmp_path / name)
        assert (name, examples, loaded.certain) == (name, PLAIN, True)


@pytest.mark.parametrize("kind", ["messages", "a list of one pair", "human and assistant", "vertex", "lists of two", "answers of SQuAD"])
@pytest.mark.parametrize("written", [repr, json.dumps])
def test_cells_of_a_table_hold_conversations_as_text(tmp_path: Path, kind: str, written: Callable[[Any], str]) -> None:
    rows = [ROWS[kind](asked, told) for asked, told in QA]
    for index in (False, True):
        numbered = [{"": at, **row} for at, row in enumerate(rows)] if index else rows
        (tmp_path / "a.csv").write_text(table(numbered, written), "utf-8")
        examples, loaded = read(tmp_path / "a.csv")
        assert (examples, loaded.certain) == (PLAIN, True)


SYSTEMS: dict[str, Callable[[str, str], dict[str, Any]]] = {
    "a system turn": lambda q, a: {"messages": [{"role": "system", "content": "Be brief."}, *openai(q, a)]},
    "a developer turn": lambda q, a: {"messages": [{"role": "developer", "content": "Be brief."}, *openai(q, a)]},
    "a column": lambda q, a: {"system": "Be brief.", "conversations": [{"from": "human", "value": q}, {"from": "gpt", "value": a}]},
    "within a pair": lambda q, a: {"conversation": [{"system": "Be brief.", "input": q, "output": a}]},
    "beside pairs": lambda q, a: {"data": {"system": "Be brief.", "turns": [{"user": q, "assistant": a}]}},
    "vertex": lambda q, a: {"systemInstruction": {"parts": [{"text": "Be brief."}]}, "contents": ROWS["vertex"](q, a)["contents"]},
    "a column of turns": lambda q, a: {"system": [{"role": "system", "content": "Be brief."}], "prompt": q, "response": a},
    "in the prompt's turns": lambda q, a: {"prompt": [{"role": "system", "content": "Be brief."}, *openai(q, a)[:1]], "completion": a},
}


@pytest.mark.parametrize("kind", SYSTEMS)
def test_instructions_lead_wherever_they_stand(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.jsonl").write_text(lines([SYSTEMS[kind](asked, told) for asked, told in QA]), "utf-8")
    examples, loaded = read(tmp_path / "a.jsonl")
    assert (examples, loaded.certain) == (LED, True)


@pytest.mark.parametrize("history", [[["Hello", "Hi."]], [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi."}]])
@pytest.mark.parametrize("written", [lambda value: value, json.dumps, repr])
def test_history_goes_before_the_question(tmp_path: Path, history: list[Any], written: Callable[[Any], Any]) -> None:
    rows = [{"instruction": asked, "output": told, "history": written(history)} for asked, told in QA]
    (tmp_path / "a.jsonl").write_text(lines(rows), "utf-8")
    examples, _ = read(tmp_path / "a.jsonl")
    assert examples == [[("user", "Hello"), ("assistant", "Hi."), *turns] for turns in PLAIN]


# ---- a list or an object is never text -------------------------------------------------------------------------------------------

ODD: dict[str, Any] = {
    "objects": [{"alpha": 1, "beta": "two"}],
    "one object": {"alpha": 1, "beta": [2]},
    "lists of numbers": [1, 2, 3],
    "lists of lists": [[1, 2], [3, 4]],
    "turns by nobody": [{"zz": "hello"}, {"zz": "hi"}],
}
BROKEN = ("[{'role': 'user', 'content': 'Hel", '{"text": "a", ', "[['a', 'b'], ['c'", 'array([{"role": x')


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("column", ["text", "messages", "conversation", "stuff", "answer"])
@pytest.mark.parametrize("written", [lambda value: value, json.dumps, repr])
def test_what_nobody_understands_is_refused_by_what_it_is(tmp_path: Path, kind: str, column: str, written: Callable[[Any], Any]) -> None:
    (tmp_path / "a.jsonl").write_text(lines([{"id": at, column: written(ODD[kind])} for at in range(20)]), "utf-8")
    with pytest.raises(UserError) as refused:
        load_examples(tmp_path / "a.jsonl")
    assert f"“{column}”" in refused.value.problem.what
    assert "a list of" in refused.value.problem.what or "an object with “alpha” and “beta”" in refused.value.problem.what
    with pytest.raises(UserError):
        load_examples(tmp_path / "a.jsonl", {"text": column})


@pytest.mark.parametrize("cell", BROKEN)
@pytest.mark.parametrize("column", ["text", "conversation", "stuff"])
def test_cells_that_were_cut_off_are_no_text(tmp_path: Path, cell: str, column: str) -> None:
    (tmp_path / "a.jsonl").write_text(lines([{"id": at, column: f"{cell}{at}"} for at in range(20)]), "utf-8")
    with pytest.raises(UserError, match="a list or an object that cannot be read"):
        load_examples(tmp_path / "a.jsonl")


def test_an_odd_cell_among_texts_costs_its_row_only(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"question": asked, "answer": told} for asked, told in QA]
    rows[3]["answer"], rows[5]["question"] = {"alpha": 1}, [{"alpha": 1}]
    (tmp_path / "a.jsonl").write_text(lines(rows), "utf-8")
    examples, loaded = read(tmp_path / "a.jsonl")
    assert examples == [turns for at, turns in enumerate(PLAIN) if at not in (3, 5)]
    assert [(lost.row, lost.reason) for lost in loaded.left_out] == [
        (4, "The column “answer” holds an object with “alpha” here, which is no text."),
        (6, "The column “question” holds a list of objects with “alpha” here, which is no text."),
    ]


def test_several_answers_in_a_list_are_asked_about_and_the_first_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines([{"question": asked, "answer": [told, "or so"]} for asked, told in QA]), "utf-8")
    examples, loaded = read(tmp_path / "a.jsonl")
    assert (examples, loaded.certain) == (PLAIN, False)


def test_answers_that_are_json_text_are_what_is_to_be_learned(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines([{"question": asked, "answer": json.dumps({"at": told})} for asked, told in QA]), "utf-8")
    examples, _ = read(tmp_path / "a.jsonl")
    assert examples[0][-1] == ("assistant", '{"at": "Office 0 opens at 1."}')
