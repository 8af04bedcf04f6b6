"""Owns telling text from lists and objects in cells. Invariant: a list or an object is never text, however it would look in letters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from loralab.core.words import count, listed
from loralab.datasets.formats.cells import cell_text
from loralab.datasets.formats.literals import begins_structured, parsed

Form = Literal["text", "texts", "written", "nested"]
_TEXT_IN = ("text", "value")  # an object that is known: the answers of SQuAD, of TriviaQA
_LOOKED_AT = 60  # cells of a column


def plain(value: Any) -> str | None:
    """The text of a cell; None where it holds a list or an object. Of several texts the first, of answers that are known the first."""
    if isinstance(value, str) and "answer_start" in value:
        value = parsed(value)
    if isinstance(value, Mapping):
        inner = next((value[name] for name in _TEXT_IN if isinstance(value.get(name), str | list)), None)
        deep = any(isinstance(part, Mapping) for other in value.values() for part in (other if isinstance(other, list) else [other]))
        return "" if not value else None if inner is None or deep else plain(inner)
    if isinstance(value, list | tuple):
        items = [item for item in value if item is not None]
        if all(isinstance(item, str) for item in items):
            return cell_text(items[0]) if items else ""
        return None
    return cell_text(value)


def lines(value: Any) -> str | None:
    """The text of a cell that is to be read whole: several texts are its lines."""
    if isinstance(value, list | tuple) and value and all(isinstance(item, str) for item in value):
        return cell_text(value)
    return plain(value)


def form(cells: Iterable[Any]) -> Form:
    """What most cells of a column are: text, lists of several texts, lists or objects written as text, or such themselves."""
    filled = [cell for cell in cells if cell is not None and cell not in ("", [], {})]
    step = max(1, len(filled) // _LOOKED_AT)
    looked = [_form(cell) for cell in filled[::step]]
    kinds: tuple[Form, ...] = ("nested", "written", "texts")
    most: list[Form] = [kind for kind in kinds if looked.count(kind) * 2 >= len(looked) > 0]
    return most[0] if most else "text"


def _form(cell: Any) -> Form:
    if isinstance(cell, list | tuple | Mapping):
        if plain(cell) is None:
            return "nested"
        return "texts" if isinstance(cell, list | tuple) and len(cell) > 1 else "text"
    if isinstance(cell, str) and (begins_structured(cell) or isinstance(parsed(cell), list | tuple | Mapping)):
        return "text" if "answer_start" in cell and plain(cell) is not None else "written"
    return "text"


def described(value: Any) -> str:
    """What a cell holds, as it follows “holds”: a list of objects with “a” and “b”."""
    value = parsed(value)
    if isinstance(value, Mapping):
        return f"an object with {_named(value)}" if value else "an empty object"
    if not isinstance(value, list | tuple):
        return "a list or an object that cannot be read" if isinstance(value, str) and begins_structured(value) else "text"
    items = [item for item in value if item is not None]
    objects = [item for item in items if isinstance(item, Mapping)]
    if objects:
        fields = dict.fromkeys(str(name) for item in objects[:20] for name in item)
        return f"a list of objects with {_named(fields)}"
    if items and all(isinstance(item, str) for item in items):
        return f"a list of {count(len(items), 'text')}"
    if items and all(isinstance(item, int | float) for item in items):
        return f"a list of {count(len(items), 'number')}"
    return "a list of lists" if items else "an empty list"


def _named(fields: Iterable[Any]) -> str:
    names: Sequence[str] = [f"“{str(name)[:30]}”" for name in fields]
    return listed(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
