"""Conversations in the forms that files have: each becomes the same turns, and what is none becomes nothing."""

from __future__ import annotations

import time
from typing import Any

import pytest

from loralab.core.records import Call
from loralab.datasets.conversations.turns import Turn, turns_of

Q, A = "When does it open?", "At nine."
PLAIN = [("user", Q), ("assistant", A)]
LED = [("system", "Be brief."), *PLAIN]


def said(value: Any, *, alternate: bool = False) -> list[tuple[str, str]] | None:
    turns = turns_of(value, alternate=alternate)
    return None if turns is None else [(turn.role, turn.content) for turn in turns]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([{"role": "user", "content": Q}, {"role": "assistant", "content": A}], PLAIN),
        ([{"from": "human", "value": Q}, {"from": "gpt", "value": A}], PLAIN),
        ([{"from": "user", "content": Q}, {"from": "assistant", "content": A}], PLAIN),
        ([{"Role ": "User", "Content": Q}, {"Role ": "Assistant", "Content": A}], PLAIN),
        ([{"speaker": "customer", "utterance": Q}, {"speaker": "agent", "utterance": A}], PLAIN),
        ([{"speaker": "USER", "text": Q}, {"speaker": "SYSTEM", "text": A}], PLAIN),
        ([{"sender": "human", "text": Q}, {"sender": "assistant", "text": A}], PLAIN),
        ([{"author": {"role": "user"}, "content": {"parts": [Q]}}, {"author": {"role": "assistant"}, "content": {"parts": [A]}}], PLAIN),
        ([{"role": "user", "parts": [{"text": Q}]}, {"role": "model", "parts": [{"text": A}]}], PLAIN),
        ([{"role": "user", "parts": [Q]}, {"role": "model", "parts": [A]}], PLAIN),
        ([{"type": "human", "data": {"content": Q}}, {"type": "ai", "data": {"content": A}}], PLAIN),
        (
            [
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": Q}]},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": A}]},
            ],
            PLAIN,
        ),
        ([{"input": Q, "output": A}], PLAIN),
        ([{"system": "Be brief.", "input": Q, "output": A}], LED),
        ([{"human": Q, "assistant": A}], PLAIN),
        ([{"question": Q, "answer": A}], PLAIN),
        ([{"prompt": Q, "completion": A}], PLAIN),
        ([{"user": Q}, {"bot": A}], PLAIN),
        ([{"instruction": Q, "input": "Now", "output": A}], [("user", f"{Q}\n\nNow"), ("assistant", A)]),
        ({"messages": [{"role": "user", "content": Q}, {"role": "assistant", "content": A}]}, PLAIN),
        ({"messages": {"0": {"role": "user", "content": Q}, "1": {"role": "assistant", "content": A}}}, PLAIN),
        ({"system": "Be brief.", "turns": [{"user": Q, "assistant": A}]}, LED),
        ({"body": {"model": "m", "messages": [{"role": "user", "content": Q}, {"role": "assistant", "content": A}]}}, PLAIN),
        ({"from": ["human", "gpt"], "value": [Q, A]}, PLAIN),
        ([["user", Q], ["assistant", A]], PLAIN),
        ([f"Human: {Q}", f"Assistant: {A}"], PLAIN),
        ([[{"role": "user", "content": Q}, {"role": "assistant", "content": A}]], PLAIN),
        ([{"is_user": True, "text": Q}, {"is_user": False, "text": A}], PLAIN),
        ([{"user_id": 1, "text": Q}, {"user_id": 2, "text": A}], [("other", Q), ("other", A)]),
        ([{"role": "user", "content": 7}, {"role": "assistant", "content": 12.0}], [("user", "7"), ("assistant", "12")]),
        ([{"role": "user", "content": Q}, None, {"role": "assistant", "content": None}], [("user", Q), ("assistant", "")]),
        ({"role": "assistant", "content": A}, [("assistant", A)]),
        ([{"speaker": "Ann", "text": Q}, {"speaker": "Ben", "text": A}], [("other", Q), ("other", A)]),
        ('[{"role": "user", "content": "When does it open?"}, {"role": "assistant", "content": "At nine."}]', PLAIN),
        ("[{'role': 'user', 'content': 'When does it open?'}, {'role': 'assistant', 'content': 'At nine.'}]", PLAIN),
        ("[{'role': 'user', 'content': 'When does it open?'}\n {'role': 'assistant', 'content': 'At nine.'}]", PLAIN),
        ("array([{'from': 'human', 'value': 'When does it open?'},\n {'from': 'gpt', 'value': 'At nine.'}], dtype=object)", PLAIN),
        (
            "[{'from': 'user', 'content': \"It's } { null\"} {'from': 'bot', 'content': nan}]",
            [("user", "It's } { null"), ("assistant", "")],
        ),
    ],
)
def test_a_conversation_is_read_in_whatever_words_it_comes(value: Any, expected: list[tuple[str, str]]) -> None:
    assert said(value) == expected


def test_what_other_programs_print_among_the_turns_does_not_hide_them() -> None:
    made = "[{'role': 'user', 'content': 'f(x) <b> is', 'at': datetime.datetime(2024, 1, 2, 3, 4), 'id': ObjectId('65a')}, "
    text = made + "{'role': 'assistant', 'content': 'two', 'by': <User object at 0x7f>, 'tags': array([], dtype=object), 'n': nan}]"
    assert said(text) == [("user", "f(x) <b> is"), ("assistant", "two")]


NO_TURNS = [
    *(None, "", "Just a text.", 7, [], {}, ["red", "blue"], [1, 2], [["a", "b"]], [None]),
    *("[see page 3]", "{name}", "[1] Smith et al. [2]", "[" * 100_000, "[" * 5_000 + "]" * 5_000),
    *([{"name": "x", "score": 1}], [{"entity": "town", "start": 3}], {"en": "hello", "de": "hallo"}),
    *([{"role": "user", "content": {"z": 1}}], [{"role": "user", "content": Q}, {"zz": 1}], [{"role": "user", "content": Q}, "text"]),
]

HOSTILE = [f"[{part * 150_000}]" for part in ("a.", " ", "\\'", "<", "f(", ", ", "{'a'", '"', "'a\n", "np.array(", "} ")]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_keeps_the_reader_busy(text: str) -> None:
    begun = time.process_time()
    turns_of(text, alternate=True)
    turns_of([{"role": "user", "content": text}, {"role": "assistant", "content": text[::-1]}])
    assert time.process_time() - begun < 5  # a fraction of a second on a free machine


@pytest.mark.parametrize("value", NO_TURNS)
def test_what_is_no_conversation_is_none(value: Any) -> None:
    assert turns_of(value) is None


def test_bare_texts_and_pairs_are_turns_only_where_the_column_says_so() -> None:
    assert (said([Q, A]), said([Q, A], alternate=True)) == (None, PLAIN)
    assert (said([[Q, A]]), said([[Q, A]], alternate=True)) == (None, PLAIN)
    assert said([[Q, A], ["And on Sunday?", None]], alternate=True) == [*PLAIN, ("user", "And on Sunday?")]


@pytest.mark.parametrize("mark", [{"weight": 0}, {"train": False}, {"loss": False}, {"trainable": "false"}, {"weight": 0.0}])
def test_a_turn_that_is_marked_is_read_and_not_learned(mark: dict[str, Any]) -> None:
    turns = turns_of([{"role": "user", "content": Q}, {"role": "assistant", "content": "wrong", **mark}]) or []
    assert [turn.learn for turn in turns] == [True, False]
    kept = turns_of([{"role": "user", "content": Q}, {"role": "assistant", "content": A, "weight": 1, "train": None}]) or []
    assert [turn.learn for turn in kept] == [True, True]


@pytest.mark.parametrize("field", ["reasoning_content", "thinking", "reasoning"])
def test_thoughts_stay_beside_the_answer(field: str) -> None:
    turns = turns_of([{"role": "user", "content": Q, field: ""}, {"role": "assistant", "content": A, field: "I look it up."}]) or []
    assert [turn.thoughts for turn in turns] == ["", "I look it up."]
    parts = turns_of([{"role": "assistant", "content": [{"type": "thinking", "thinking": "I look it up."}, {"type": "text", "text": A}]}])
    assert parts == [Turn("assistant", A, name="assistant", thoughts="I look it up.")]


def test_pictures_are_counted_wherever_they_stand() -> None:
    shown = [{"type": "text", "text": Q}, {"type": "image_url", "image_url": {"url": "a.png"}}, {"type": "image", "image": "b.png"}]
    assert turns_of([{"role": "user", "content": shown}]) == [Turn("user", Q, name="user", pictures=2)]
    assert turns_of([{"from": "human", "value": f"<image>\n{Q}"}]) == [Turn("user", Q, name="human", pictures=1)]
    assert turns_of([{"role": "user", "content": Q, "images": ["a", "b"]}]) == [Turn("user", Q, name="user", pictures=2)]
    assert turns_of([{"role": "user", "parts": [{"text": Q}, {"inlineData": {}}]}]) == [Turn("user", Q, name="user", pictures=1)]


@pytest.mark.parametrize(
    "turn",
    [
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "function": {"name": "hours", "arguments": '{"day": 1}'}}]},
        {"role": "assistant", "function_call": {"name": "hours", "arguments": '{"day": 1}'}},
        {"from": "function_call", "value": '{"name": "hours", "arguments": {"day": 1}}'},
        {"role": "assistant", "content": [{"type": "tool_use", "name": "hours", "input": {"day": 1}}]},
        {"role": "model", "parts": [{"functionCall": {"name": "hours", "args": {"day": 1}}}]},
    ],
)
def test_tool_calls_are_read_in_every_form(turn: dict[str, Any]) -> None:
    (found,) = turns_of([turn]) or [Turn("other", "")]
    assert (found.role, found.content, found.calls) == ("assistant", "", (Call(name="hours", arguments='{"day": 1}'),))


@pytest.mark.parametrize(
    "turn",
    [
        *({"role": "tool", "content": "nine", "tool_call_id": "c"}, {"from": "observation", "value": "nine"}),
        *(
            {"role": "function", "name": "hours", "content": "nine"},
            {"role": "user", "content": [{"type": "tool_result", "content": "nine"}]},
        ),
    ],
)
def test_results_of_tools_are_turns_of_the_tool(turn: dict[str, Any]) -> None:
    (found,) = turns_of([turn]) or [Turn("other", "")]
    assert (found.role, found.content) == ("tool", "nine")


def test_what_a_turn_says_besides_is_named() -> None:
    (turn,) = turns_of([{"role": "user", "content": Q, "timestamp": "10:00", "mood": "", "id": 4}]) or [Turn("other", "")]
    assert turn.unused == ("timestamp", "id")
    (named,) = turns_of([{"role": "user", "name": "Ann", "content": Q}]) or [Turn("other", "")]
    assert (named.role, named.name, named.unused) == ("user", "Ann", ())


def test_of_a_tree_the_branch_that_was_shown_last_is_read() -> None:
    def node(parent: str | None, role: str = "", text: str = "") -> dict[str, Any]:
        message = {"author": {"role": role}, "content": {"content_type": "text", "parts": [text]}} if role else None
        return {"parent": parent, "message": message}

    tree = {"r": node(None), "1": node("r", "user", Q), "2": node("1", "assistant", "Never."), "3": node("1", "assistant", A)}
    assert said({"mapping": tree, "current_node": "3"}) == PLAIN
    assert said({"mapping": tree, "current_node": "2"}) == [("user", Q), ("assistant", "Never.")]
    assert said({"mapping": tree}) == PLAIN
