"""Owns whether an adapter from elsewhere can be used, and whether it belongs to a base: from names, shapes and settings alone. No torch.

Invariant: nothing is loaded; what fits by name and shape and still may be another model's is never called certain.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loralab.core.errors import Problem, UserError
from loralab.models.adapter_file import by_pattern
from loralab.models.model_folder import header, read_json, weight_files

CONFIG, WEIGHTS, PICKLE = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"
PREFIX = "base_model.model."
SIDEWAYS = frozenset({"gpt2", "openai-gpt"})  # families whose layers are stored [in, out]
NUMBERS = frozenset({"F64", "F32", "F16", "BF16"})
_PART = re.compile(r"(?P<module>.+)\.(?P<part>lora_A|lora_B|lora_embedding_A|lora_embedding_B|lora_magnitude_vector)(?P<end>\.\w+)?$")
_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.")
# Ways to begin that change the base itself: the adapter is only right over that changed base, which nobody has.
MOVED = ("pissa", "olora", "corda", "loftq")
UNKNOWN = (
    "layer_replication",
    "alora_invocation_tokens",
    "target_parameters",
    "trainable_token_indices",
    "arrow_config",
    "megatron_config",
)

Shapes = Mapping[str, list[int]]


def settings_of(folder: Path) -> dict[str, Any]:
    """An adapter's settings. Raises UserError where they are absent or no settings of an adapter we can use."""
    if not (folder / CONFIG).is_file():
        todo = f"Give the whole folder: {CONFIG} and {WEIGHTS}, or a zip of both."
        raise UserError(f"This is no adapter: there is no {CONFIG}.", todo, code="no_adapter")
    try:
        found = read_json(folder / CONFIG)
    except ValueError as error:
        raise UserError(f"{CONFIG} is damaged: {error}.", "Copy the adapter again.", code="damaged") from error
    problem = refused(found)
    if problem:
        raise UserError(problem.what, problem.todo, code=problem.code)
    return found


def refused(settings: Mapping[str, Any]) -> Problem | None:
    """Why an adapter of these settings cannot be used here; None when it can."""
    kind, task = str(settings.get("peft_type", "unknown")), settings.get("task_type")
    if kind.upper() != "LORA":
        return _no(f"it is of the kind {kind}, and LoRALab knows LoRA")
    if task not in (None, "CAUSAL_LM"):
        return _no(f"it was made for another task ({task}), not for writing text")
    begun = str(settings.get("init_lora_weights") or "")
    if begun.lower().startswith(MOVED):
        what = f"This adapter cannot be used: its training ({begun}) changed the base model itself, not only the adapter."
        todo = "Have its maker save it as a plain LoRA (PEFT: path_initial_model_for_weight_conversion)."
        return Problem(code="moved_base", what=what, todo=todo)
    odd = [name for name in UNKNOWN if settings.get(name)]
    if odd:
        return _no(f"it uses {odd[0]}, which LoRALab does not know")
    numbers = (settings.get("r"), settings.get("lora_alpha"))
    if not all(isinstance(number, int | float) and number > 0 for number in numbers) or not settings.get("target_modules"):
        return _no("its settings name no rank, no alpha or no target modules")
    return None


def _no(reason: str) -> Problem:
    return Problem(code="unknown_adapter", what=f"This adapter cannot be used: {reason}.", todo="Choose another adapter.")


@dataclass(frozen=True)
class Adapter:
    """Names and shapes in an adapter's file: two matrices for each module, and whole tensors of the base it replaces."""

    pairs: dict[str, dict[str, list[int]]]  # module -> part -> shape
    whole: dict[str, list[int]]  # name in the base -> shape


def shapes_of(folder: Path) -> Adapter:
    """What an adapter's file holds. Raises UserError where it is damaged or holds something else."""
    try:
        entries = header(folder / WEIGHTS)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{WEIGHTS} is cut short or damaged ({error}).", "Copy the adapter again.", code="damaged") from error
    found = Adapter({}, {})
    for name, entry in entries.items():
        if not name.startswith(PREFIX) or entry["dtype"] not in NUMBERS:
            raise UserError(
                f"This adapter holds something unknown ({name}, {entry['dtype']}).", "Choose another adapter.", code="unknown_adapter"
            )
        part = _PART.match(name.removeprefix(PREFIX))
        if part and part["end"] != ".bias":
            found.pairs.setdefault(part["module"], {})[part["part"]] = entry["shape"]
        elif not part:
            found.whole[name.removeprefix(PREFIX)] = entry["shape"]
    if not found.pairs:
        raise UserError("This adapter is empty: its file changes no layer.", "Copy the adapter again.", code="damaged")
    return found


# ---- against a base --------------------------------------------------------------------------------------------------------


def misfit(settings: Mapping[str, Any], adapter: Adapter, base: Path) -> Problem | None:
    """What does not match between an adapter and the base in `base`, in one sentence; None where all names and shapes do."""
    try:
        known = {name: entry["shape"] for file in weight_files(base) for name, entry in header(file).items()}
        config = read_json(base / "config.json")
    except (OSError, ValueError) as error:
        return Problem(code="damaged", what=f"A file of the base model is damaged: {error}.", todo="Download it again.")
    sideways = bool(settings.get("fan_in_fan_out")) or config.get("model_type") in SIDEWAYS
    said = (
        _missing_layers(adapter, known)
        or next(filter(None, (_module(name, parts, known, settings, sideways) for name, parts in adapter.pairs.items())), "")
        or next(filter(None, (_whole(name, shape, known) for name, shape in adapter.whole.items())), "")
    )
    if said:
        todo = "Choose the base model it was trained on."
        return Problem(code="other_base", what=f"This adapter does not fit the base model “{base.name}”: {said}.", todo=todo)
    return _incomplete(settings, adapter, known)


def _missing_layers(adapter: Adapter, known: Shapes) -> str:
    wanted, there = _count(adapter.pairs), _count(known)
    return f"it changes {wanted} layers, and this base has {there}" if wanted > there else ""


def _count(names: Iterable[str]) -> int:
    return max((int(found[1]) + 1 for found in map(_LAYER.search, names) if found), default=0)


def _place(module: str, known: Shapes) -> list[int] | None:
    """Shape of a module's weight, also where files leave the model's first name out, or the output matrix that is the embedding."""
    names = [f"{module}.weight", f"{module.partition('.')[2]}.weight"]
    if module == "lm_head":
        names += [name for name in known if name.endswith(("embed_tokens.weight", "wte.weight", "word_embeddings.weight"))]
    return next((known[name] for name in names if name in known), None)


def _module(name: str, parts: Shapes, known: Shapes, settings: Mapping[str, Any], sideways: bool) -> str:
    """What is wrong with the matrices of one module; empty when nothing is."""
    shape = _place(name, known)
    if shape is None or len(shape) != 2:
        return f"its part {name} is not there"
    embedding = "lora_embedding_A" in parts
    a, b = (parts.get(f"lora_embedding_{side}" if embedding else f"lora_{side}") for side in "AB")
    if not a or not b:
        return f"half of its part {name} is missing"
    out, inside = (shape[1], shape[0]) if sideways or embedding else (shape[0], shape[1])
    if (b[0], a[1]) != (out, inside):
        return f"its part {name} is {a[1]} wide and gives {b[0]}, here it is {inside} wide and gives {out}"
    rank = int(by_pattern(settings.get("rank_pattern") or {}, name, settings["r"]))
    if (a[0], b[1]) != (rank, rank):
        return f"its part {name} has rank {a[0]}, and its settings say {rank}"
    return ""


def _whole(name: str, shape: list[int], known: Shapes) -> str:
    there = known.get(name) or known.get(name.partition(".")[2]) or _place(name.removesuffix(".weight"), known)
    if there is None:
        return f"it replaces {name}, which is not there"
    if there != shape and name.endswith(("embed_tokens.weight", "lm_head.weight", "wte.weight")):
        return f"it was trained with a vocabulary of {shape[0]:,} tokens, and this base has {there[0]:,}"
    return f"it replaces {name} by one of another size ({_size(shape)} for {_size(there)})" if there != shape else ""


def _size(shape: list[int]) -> str:
    return " x ".join(map(str, shape))


def _incomplete(settings: Mapping[str, Any], adapter: Adapter, known: Shapes) -> Problem | None:
    """Layers that the settings name and the file lacks: a file that was cut, or a part of a larger one."""
    if settings.get("layers_to_transform") is not None or settings.get("exclude_modules"):
        return None
    modules = [name.removesuffix(".weight") for name, shape in known.items() if name.endswith(".weight") and len(shape) == 2]
    expected = {module for module in modules if _named(settings["target_modules"], module)}
    lost = sorted(expected - set(adapter.pairs)) if expected >= set(adapter.pairs) else []
    if not lost:
        return None
    what = f"This adapter is incomplete: {len(lost)} of the {len(expected)} parts it should change are missing (first {lost[0]})."
    return Problem(code="incomplete", what=what, todo="Copy the adapter again.")


def _named(targets: str | list[str], module: str) -> bool:
    """As PEFT reads `target_modules`: a pattern for the whole name, or endings of it."""
    if isinstance(targets, str):
        try:
            return re.fullmatch(targets, module) is not None
        except re.error:
            return False
    return any(module == target or module.endswith(f".{target}") for target in targets)
