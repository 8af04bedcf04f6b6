"""Owns what the content of one turn amounts to: words, pictures, thoughts, and calls of tools with their results.

Invariant: what is neither text nor known is None, so that it is never learned as text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loralab.core.records import Call
from loralab.datasets.formats.cells import cell_text
from loralab.datasets.formats.literals import parsed
from loralab.datasets.tables.columns import key

THOUGHTS = ("reasoningcontent", "reasoning", "thinking", "thought", "thoughts", "cot")
PICTURES = ("image", "images", "imageurl", "inputimage", "inlinedata", "filedata", "picture", "pictures")
CALLING = ("functioncall", "toolcall", "toolcalls")  # roles in which the assistant calls a tool
_OTHER_MEDIA = ("audio", "inputaudio", "video", "videourl", "file", "document", "inputfile")
_MARK = re.compile(r"[ \t]{0,8}<(?:image|img|image_pad|im_patch)>[ \t]*\n?|<image_\d{1,9}>", re.IGNORECASE)


@dataclass(frozen=True)
class Said:
    """What the content of a turn amounts to."""

    text: str = ""
    pictures: int = 0
    thoughts: str = ""
    calls: tuple[Call, ...] = ()
    unused: tuple[str, ...] = ()
    is_result: bool = False  # of a tool


def said_in(value: Any) -> Said | None:
    """The words of a turn and what else is in it; None where it is no text and nothing that is known."""
    if isinstance(value, Mapping):
        return _said_part({str(name): item for name, item in value.items()})
    if isinstance(value, list | tuple):
        parts = [said_in(part) for part in value if part is not None]
        return _joined([part for part in parts if part is not None]) if all(part is not None for part in parts) else None
    text = cell_text(value)
    pictures = len(_MARK.findall(text))
    return Said(cell_text(_MARK.sub("", text)) if pictures else text, pictures)


def words_of(value: Any) -> str | None:
    """The words of one turn's content, however it is written; None where it is no text."""
    said = said_in(parsed(value))
    return said.text if said else None


def _said_part(part: dict[str, Any]) -> Said | None:
    """A part of a turn: text, a picture, a thought, a call, or its result."""
    kind = key(str(part.get("type") or part.get("content_type") or ""))
    names = {key(name): name for name in part}
    found: Said | None = None
    if kind in PICTURES or (not kind and any(name in names for name in PICTURES)) or kind == "imageassetpointer":
        found = Said(pictures=1)
    elif kind in _OTHER_MEDIA:
        found = Said(unused=(kind,))
    elif kind in ("thinking", "reasoning") or part.get("thought") is True:
        found = Said(thoughts=thought_in(next((part[names[name]] for name in (*THOUGHTS, "text", "content") if name in names), "")))
    elif kind in ("tooluse", *CALLING) or "functioncall" in names:
        found = Said(calls=calls_of(part[names["functioncall"]] if "functioncall" in names else part))
    elif kind in ("toolresult", "functionresponse") or "functionresponse" in names:
        held = part.get("content", part[names["functionresponse"]] if "functionresponse" in names else part.get("output", ""))
        found = Said(held if isinstance(held, str) else json.dumps(held, ensure_ascii=False, default=str), is_result=True)
    else:
        inner = next((name for name in ("text", "parts", "content", "value") if name in names), "")
        found = said_in(part[names[inner]]) if inner else Said() if kind in ("text", "inputtext", "outputtext") else None
    return found


def _joined(parts: list[Said]) -> Said:
    return Said(
        "\n".join(part.text for part in parts if part.text),
        sum(part.pictures for part in parts),
        "\n".join(part.thoughts for part in parts if part.thoughts),
        tuple(call for part in parts for call in part.calls),
        tuple(name for part in parts for name in part.unused),
        any(part.is_result for part in parts),
    )


def thought_in(value: Any) -> str:
    """The words of a thought; "" where it is no text."""
    said = said_in(value)
    return said.text if said else ""


def calls_of(value: Any) -> tuple[Call, ...]:
    """The tools that a field calls: OpenAI's list, one call, or its JSON text."""
    value = parsed(value)
    if isinstance(value, list | tuple):
        return tuple(call for item in value for call in calls_of(item))
    if not isinstance(value, Mapping) or not value:
        return ()
    inner = value.get("function")
    about = inner if isinstance(inner, Mapping) else value
    given = next((about[name] for name in ("arguments", "args", "input", "parameters") if about.get(name) is not None), {})
    name = str(about.get("name") or about.get("tool_name") or "")
    return (Call(name=name, arguments=given if isinstance(given, str) else json.dumps(given, ensure_ascii=False, default=str)),)
