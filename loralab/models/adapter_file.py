"""An adapter's files as they lie on disk: settings by module, metadata in the head of the weights, the history beside them. No torch.

Invariant: the numbers of the weights stay as they are, byte for byte.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from loralab.core.events import Event
from loralab.core.strict_json import load

HISTORY = "history.json"
FORM = 1  # of history.json; a newer one is not read
KEY = "loralab"  # in the metadata of the weights


def by_pattern(patterns: Mapping[str, Any], module: str, usual: float) -> float:
    """The first pattern that fits the end of a module's name, as PEFT looks it up."""
    return next((value for key, value in patterns.items() if re.match(rf"(.*\.)?({key})$", module)), usual)


def copy_weights(source: Path, target: Path, about: str) -> None:
    """A safetensors file with `about` in its metadata; what follows its head is copied as it is."""
    with source.open("rb") as old, target.open("wb") as new:
        head = load(old.read(int.from_bytes(old.read(8), "little")))
        head["__metadata__"] = {**head.get("__metadata__", {}), "format": "pt", KEY: about}
        new.write(_head(head))
        shutil.copyfileobj(old, new, 1 << 20)


def rename(weights: Path, names: Mapping[str, str]) -> None:
    """Keep of a safetensors file the tensors in `names` (name -> new name), number for number; what is not named goes."""
    writing = weights.with_name(f".{weights.name}.writing")
    with weights.open("rb") as old, writing.open("wb") as new:
        head = load(old.read(int.from_bytes(old.read(8), "little")))
        start, kept, end = old.tell(), {"__metadata__": head.pop("__metadata__", {"format": "pt"})}, 0
        chosen = sorted(names, key=lambda name: head[name]["data_offsets"])
        for name in chosen:
            begin, stop = head[name]["data_offsets"]
            kept[names[name]] = head[name] | {"data_offsets": [end, end + stop - begin]}
            end += stop - begin
        new.write(_head(kept))
        for name in chosen:
            begin, stop = head[name]["data_offsets"]
            old.seek(start + begin)
            new.write(old.read(stop - begin))
    writing.replace(weights)


def _head(head: Mapping[str, Any]) -> bytes:
    raw = json.dumps(head, separators=(",", ":"), ensure_ascii=False).encode()
    raw += b" " * (-len(raw) % 8)  # tensors begin at a multiple of eight
    return len(raw).to_bytes(8, "little") + raw


def read_summary(weights: Path) -> dict[str, Any]:
    """What `copy_weights` put into a file; empty where there is nothing of ours."""
    with weights.open("rb") as file:
        head = load(file.read(int.from_bytes(file.read(8), "little")))
    try:
        found = load(head.get("__metadata__", {}).get(KEY, "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def events_of(history_file: dict[str, Any]) -> list[Event]:
    """The events in a history; those a newer version wrote are left out."""
    reader: TypeAdapter[Event] = TypeAdapter(Event)
    found: list[Event] = []
    for raw in history_file.get("events") or []:
        try:
            found.append(reader.validate_python(raw))
        except ValidationError:
            continue
    return found
