"""Owns what the tensors in an adapter's file are called: in PEFT's own spelling, as copies of the base, or under a wrapper's names.

Invariant: a name is changed only where there is one place it can mean, and every other name of the same file has one, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from loralab.core.errors import UserError
from loralab.core.records import Record
from loralab.models.model_folder import header

WEIGHTS = "adapter_model.safetensors"
PREFIX = "base_model.model."
NUMBERS = frozenset({"F64", "F32", "F16", "BF16"})
# Parts of a name that say how a model was wrapped, not what it is: of pictures and text together, compiled, spread over computers.
WRAPPERS = frozenset({"model", "language_model", "text_model", "transformer", "module", "base_model"})
_COMPILED = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
_PART = re.compile(r"(?P<module>.+)\.(?P<part>lora_A|lora_B|lora_embedding_A|lora_embedding_B|lora_magnitude_vector)(?:\.weight)?$")
_OWN_NAME = re.compile(r"\.(lora_[AB])\.(?!weight$|bias$)[^.]+\.(weight|bias)$")  # an adapter's own name in the middle, mostly "default"
_OWN_END = re.compile(r"\.(lora_embedding_[AB]|lora_magnitude_vector)\.[^.]+(?:\.weight)?$")
_SAVED = re.compile(r"\.modules_to_save(?:\.(?!weight$|bias$)[^.]+)?\.(weight|bias)$")
_COPY = re.compile(r"\.(?:base_layer|original_module)(?=\.(?:weight|bias)$)")

Shapes = Mapping[str, list[int]]


class Expected(Record):
    """What a base and PEFT's reading of an adapter's settings ask for: shapes by name."""

    weights: dict[str, list[int]]  # of the base
    tensors: dict[str, list[int]]  # an adapter of these settings has
    reason: str = ""  # none: its settings name no part of this base; unreadable
    said: str = ""
    unknown: tuple[str, ...] = ()  # settings that PEFT reads past


@dataclass(frozen=True)
class Adapter:
    """Names and shapes in an adapter's file, spelled as PEFT does: two matrices for each module, and whole tensors of the base."""

    pairs: dict[str, dict[str, list[int]]]  # module -> part -> shape
    whole: dict[str, list[int]]  # name in the base -> shape
    copies: dict[str, tuple[str, list[int]]]  # name in the file -> name in the base it is a copy of, shape
    names: dict[str, str]  # name in the file -> PEFT's; copies are not in it
    shapes: dict[str, list[int]] = field(default_factory=dict)  # PEFT's name -> shape


def read(folder: Path) -> Adapter:
    """What an adapter's file holds. Raises UserError where it is damaged, empty or holds something else."""
    try:
        entries = header(folder / WEIGHTS)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{WEIGHTS} is cut short or damaged ({error}).", "Copy the adapter again.", code="damaged") from error
    strange = next((name for name, entry in entries.items() if entry["dtype"] not in NUMBERS), "")
    found = spelled({name: entry["shape"] for name, entry in entries.items()})
    if strange or (not found.pairs and any(".lora_" not in name for name in entries)):
        name = strange or next(iter(entries))
        what = f"This adapter holds something unknown ({name}, {entries[name]['dtype']})."
        raise UserError(what, "Choose another adapter.", code="unknown_adapter")
    if not found.pairs:
        raise UserError("This adapter is empty: its file changes no layer.", "Copy the adapter again.", code="damaged")
    return found


def spelled(shapes: Shapes, moved: Mapping[str, str] | None = None) -> Adapter:
    """Names as PEFT spells them; `moved`: module -> what it is called in the base. Raises UserError where two become one."""
    found = Adapter({}, {}, {}, {})
    for name, shape in shapes.items():
        bare = _SAVED.sub(r".\1", _OWN_END.sub(r".\1", _OWN_NAME.sub(r".\1.\2", unwrapped(name))))
        part = _PART.match(bare)
        if part:
            module = (moved or {}).get(part["module"], part["module"])
            bare = module + bare.removeprefix(part["module"])
            found.pairs.setdefault(module, {})[part["part"]] = shape
        elif _COPY.search(bare):
            module = _COPY.sub("", bare)
            found.copies[name] = (module, shape)
            continue
        elif ".lora_" not in bare:
            module, _, end = bare.rpartition(".")
            bare = f"{(moved or {}).get(module, module)}.{end}"
            found.whole[bare] = shape
        if PREFIX + bare in found.shapes:
            raise UserError(f"This adapter says twice what {bare} is.", "Choose another adapter.", code="unknown_adapter")
        found.names[name] = PREFIX + bare
        found.shapes[PREFIX + bare] = shape
    return found


def unwrapped(name: str) -> str:
    """A name without PEFT's own beginning, however often that stands there."""
    while name.startswith(PREFIX):
        name = name.removeprefix(PREFIX)
    return name


def moved(modules: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Modules named by a wrapper -> what they are called in a base; empty unless each can mean one of them only, and no two the same."""
    places: dict[str, list[str]] = {}
    for name in known:
        places.setdefault(_bare(name), []).append(name)
    found = {module: places.get(_bare(module), []) for module in modules}
    if any(len(place) != 1 for place in found.values()) or len({place[0] for place in found.values()}) < len(found):
        return {}
    return {module: place[0] for module, place in found.items()}


def _bare(module: str) -> str:
    return ".".join(part for part in module.split(".") if part not in WRAPPERS | _COMPILED)
