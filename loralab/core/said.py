"""Owns what is said by whom: the turns that examples are made of, and the frozen value that every noun is.

Invariant: imports nothing of ours. Everybody takes these from `loralab.core.records`.
"""

from __future__ import annotations

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict

Role = Literal["system", "user", "assistant", "tool"]


class Record(BaseModel):
    """A frozen value. NaN and Inf survive JSON, because divergence is the very thing worth recording."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants", protected_namespaces=())


class Call(Record):
    """A tool that an answer asks for."""

    name: str
    arguments: str = ""  # as the file has them: the text of a JSON object

    @property
    def given(self) -> object:
        """The arguments as values; as their text where that is no JSON."""
        try:
            return json.loads(self.arguments or "{}")
        except (ValueError, RecursionError):
            return self.arguments


class Message(Record):
    """One turn of a conversation."""

    role: Role
    content: str
    learn: bool = True  # False: of an answer that is read and not learned from
    calls: tuple[Call, ...] = ()
    tools: str = ""  # of the first turn: what may be called, as the text of a JSON list

    @property
    def said(self) -> str:
        """The words, and the tools that are called, as text."""
        called = [json.dumps({"name": call.name, "arguments": call.given}, ensure_ascii=False) for call in self.calls]
        return "\n".join(filter(None, [self.content, *called])) if called else self.content
