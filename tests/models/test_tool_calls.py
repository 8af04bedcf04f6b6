"""Calls of tools: written as the model's own template writes them, or left out with the true reason; never dropped from an example."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loralab.core.errors import UserError
from loralab.core.records import Call, Example, Message
from loralab.datasets.dataset import Loaded, fingerprint
from loralab.datasets.readable import NO_TOOLS, readable
from loralab.models.tokenize import TextEncoder
from tests.models.test_encode import MORE, folder_of

# How Qwen 2.5 writes them, shortened.
WITH_TOOLS = (
    "{%- if tools %}{{- '<|im_start|>system\n# Tools' }}{%- for tool in tools %}{{- '\n' + (tool | tojson) }}{%- endfor %}"
    "{{- '<|im_end|>\n' }}{%- endif %}{%- for message in messages %}{%- if message.role == 'assistant' and message.tool_calls %}"
    "{{- '<|im_start|>assistant' }}{%- if message.content %}{{- '\n' + message.content }}{%- endif %}"
    "{%- for tool_call in message.tool_calls %}{%- set tool_call = tool_call.function %}"
    "{{- '\n<tool_call>\n{\"name\": \"' + tool_call.name + '\", \"arguments\": ' + (tool_call.arguments | tojson) + '}\n</tool_call>' }}"
    "{%- endfor %}{{- '<|im_end|>\n' }}{%- elif message.role == 'tool' %}"
    "{{- '<|im_start|>user\n<tool_response>\n' + message.content + '\n</tool_response><|im_end|>\n' }}{%- else %}"
    "{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)
CALL = Message(role="assistant", content="I look it up.", calls=(Call(name="hours", arguments='{"case": 7}'),))
ASKED = Message(role="user", content="what is open", tools=json.dumps([{"type": "function", "function": {"name": "hours"}}]))
LOADED = Loaded(name="a", path="a", shape="messages", roles={}, columns=(), certain=True, encoding="utf-8", n_read=2)
TALK = (ASKED, CALL, Message(role="tool", content='{"open": 8}'), Message(role="assistant", content="it is open at 8"))


@pytest.fixture(scope="module")
def knows(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    folder: Path = folder_of(tmp_path_factory.mktemp("knows"), "qwen2")
    (folder / "chat_template.jinja").write_text(WITH_TOOLS)
    return TextEncoder(folder)


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    return TextEncoder(folder_of(tmp_path_factory.mktemp("without"), "qwen2"))


def test_a_call_is_learned_as_the_template_writes_it(knows: TextEncoder) -> None:
    pieces = knows.pieces(Example(row=1, messages=TALK))
    learned = "".join(text for text, is_learned in pieces if is_learned)
    read = "".join(text for text, is_learned in pieces if not is_learned)
    assert '<tool_call>\n{"name": "hours", "arguments": {"case": 7}}\n</tool_call><|im_end|>' in learned
    assert "I look it up." in learned
    assert '{"open": 8}' in read
    assert '# Tools\n{"type": "function"' in read
    assert '{"open": 8}' not in learned


def test_what_a_template_cannot_write_is_left_out_with_the_reason(without: TextEncoder, knows: TextEncoder) -> None:
    plain, calling = Example(row=1, messages=tuple(MORE)), Example(row=2, messages=TALK)
    kept, found = readable(without, [plain, calling], LOADED)
    assert [e.row for e in kept] == [1]
    assert [(one.row, one.reason) for one in found.left_out] == [(2, NO_TOOLS)]
    assert readable(knows, [plain, calling], LOADED) == ([plain, calling], LOADED)
    assert not any(without.encode(calling, 500).learned)  # nor does a way around the list learn half of it
    with pytest.raises(UserError, match="knows no tools"):
        readable(without, [calling], LOADED)


def test_two_calls_are_two_examples() -> None:
    other = CALL.model_copy(update={"calls": (Call(name="hours", arguments='{"case": 8}'),)})
    assert fingerprint(Example(row=1, messages=(ASKED, CALL))) != fingerprint(Example(row=2, messages=(ASKED, other)))
    assert CALL.said == 'I look it up.\n{"name": "hours", "arguments": {"case": 7}}'
