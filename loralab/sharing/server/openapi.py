"""Owns the description of the operations: OpenAPI 3.1 for programs, and a page for people, both made from the types.

Invariant: an operation that is not in the table does not exist, so none is undescribed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from pydantic.json_schema import models_json_schema

from loralab.core.version import __version__
from loralab.sharing.server.operation import Operation
from loralab.sharing.server.shapes import Refused

OPENS = {
    "anybody": "anybody",
    "owner": "the owner, on this computer",
    "chat": "chat links",
    "classify": "classify links",
    "weights": "weights links",
    "page": "page links",
}


def description(known: Sequence[Operation]) -> dict[str, Any]:
    """OpenAPI 3.1 of these operations."""
    types = {kind for one in known for kind in (one.takes, one.gives) if kind} | {Refused}
    chosen: list[Any] = [(kind, "validation") for kind in sorted(types, key=lambda kind: kind.__name__)]
    _, schemas = models_json_schema(chosen, ref_template="#/components/schemas/{model}")
    paths: dict[str, Any] = {}
    for one in known:
        paths.setdefault(one.path.replace(":path}", "}"), {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {"title": "LoRALab", "version": __version__, "description": "Answers of what was trained on this computer."},
        "paths": paths,
        "components": {
            "schemas": schemas.get("$defs", {}),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "A link's token, or the owner's key."}},
        },
    }


def _operation(one: Operation) -> dict[str, Any]:
    refused = {"description": "Why not", "content": {"application/json": {"schema": _ref(Refused)}}}
    told: dict[str, Any] = {"description": "It worked", "content": {one.media: {"schema": _ref(one.gives) if one.gives else {}}}}
    found: dict[str, Any] = {
        "operationId": f"{one.method.lower()}_{one.path.strip('/').replace('/', '_').replace('{', '').replace('}', '') or 'open'}",
        "summary": one.summary,
        "responses": {"200": told}
        if "anybody" in one.opens
        else {"200": told} | {str(code): refused for code in (400, 401, 404, 413, 429)},
        "security": [] if "anybody" in one.opens else [{"key": []}],
        "x-opens-to": sorted(one.opens),
    }
    named = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in one.in_path]
    named += [{"name": name, "in": "query", "required": False, "schema": {"type": "string"}} for name in one.query]
    found |= {"parameters": named} if named else {}
    content: dict[str, Any] = {"application/json": {"schema": _ref(one.takes)}} if one.takes else {}
    if one.file:
        fields: dict[str, Any] = {one.file: {"type": "string", "format": "binary"}}
        fields |= {"model": {"type": "string"}} if one.takes else {}
        content["multipart/form-data"] = {"schema": {"type": "object", "properties": fields}}
    if content:
        found["requestBody"] = {"required": True, "content": content}
    return found


def _ref(kind: Any) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


# ---- for people ------------------------------------------------------------------------------------------------------------


def described(known: Sequence[Operation]) -> str:
    """The same as markup."""
    return "\n".join(_section(one) for one in known)


def _section(one: Operation) -> str:
    who = ", ".join(OPENS[scope] for scope in sorted(one.opens | ({"owner"} if "anybody" not in one.opens else set())))
    more = "".join(_fields(kind, title) for kind, title in ((one.takes, "You send"), (one.gives, "You get")) if kind)
    query = f"<p>In the address: {', '.join(f'<code>{escape(name)}</code>' for name in one.query)}</p>" if one.query else ""
    head = f'<span class="method">{one.method}</span> <code>{escape(one.path)}</code> <span>{escape(one.summary)}</span>'
    return f'<details><summary>{head}</summary><p class="who">Opens to: {escape(who)}.</p>{query}{more}</details>'


def _fields(kind: Any, title: str) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(what)}</td><td>{escape(words)}</td></tr>" for name, what, words in _rows(kind)
    )
    return f"<h3>{title}</h3><table><thead><tr><th>field</th><th>kind</th><th></th></tr></thead><tbody>{rows}</tbody></table>"


def _rows(kind: Any) -> Iterator[tuple[str, str, str]]:
    schema = kind.model_json_schema()
    for name, field in schema.get("properties", {}).items():
        needed = " (needed)" if name in schema.get("required", ()) else ""
        yield name, _kind(field) + needed, str(field.get("description", ""))


def _kind(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_kind(one) for one in field["anyOf"]))
    if "const" in field:
        return f"“{field['const']}”"
    if "enum" in field:
        return " or ".join(f"“{one}”" for one in field["enum"])
    if "$ref" in field:
        return str(field["$ref"]).rpartition("/")[2]
    return {"null": "nothing", "array": "list"}.get(str(field.get("type", "")), str(field.get("type", "anything")))
