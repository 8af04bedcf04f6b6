"""Owns how tools and their calls are handed to a chat template, and whether a template writes them at all.

Invariant: that is found by rendering, never by the template's name or its words.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jinja2

from loralab.core.records import Call, Example, Message

_CALLED, _ARGUMENT, _RESULT = "lab_probe_tool", "lab_probe_value", "lab_probe_result"
PROBE = (
    Message(role="user", content="a"),
    Message(role="assistant", content="", calls=(Call(name=_CALLED, arguments=json.dumps({"a": _ARGUMENT})),)),
    Message(role="tool", content=_RESULT),
    Message(role="assistant", content="b"),
)


def for_template(message: Message) -> dict[str, Any]:
    """A message as templates expect it; a call's arguments as values, as those want them that write JSON themselves."""
    plain: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.calls:
        plain["tool_calls"] = [{"type": "function", "function": {"name": call.name, "arguments": call.given}} for call in message.calls]
    if message.tools:
        plain["tools"] = json.loads(message.tools)
    return plain


def tools_of(messages: Sequence[Mapping[str, Any]]) -> list[Any] | None:
    """What may be called, as the first turn says it."""
    return next((message["tools"] for message in messages[:1] if message.get("tools")), None)


def calls_tools(example: Example) -> bool:
    """Whether tools are called in it, or answer."""
    return any(message.calls or message.role == "tool" for message in example.messages)


def writes_calls(render: Callable[[Sequence[Message]], str]) -> bool:
    """Whether a template writes a call with its arguments, and its result."""
    try:
        text = render(PROBE)
    except (jinja2.TemplateError, TypeError, ValueError):
        return False
    return all(sign in text for sign in (_CALLED, _ARGUMENT, _RESULT))
