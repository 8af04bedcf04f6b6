"""Owns whether an adapter from elsewhere can be used, and whether it belongs to a base: from names, shapes and settings alone. No torch.

Invariant: every tensor of an adapter has its place in the base's own parts, as PEFT puts them there, or it is refused in a sentence.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from loralab.adapters.names import PREFIX, WEIGHTS, Adapter, Expected, Shapes, unwrapped
from loralab.core.errors import Problem, UserError
from loralab.core.words import count
from loralab.models.model_folder import read_json

CONFIG, PICKLE = "adapter_config.json", "adapter_model.bin"
_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.")
# Ways to begin that change the base itself: the adapter is only right over that changed base, which nobody has.
MOVED = ("pissa", "olora", "corda", "loftq", "lora_ga")
UNKNOWN = (
    "layer_replication",
    "alora_invocation_tokens",
    "target_parameters",
    "trainable_token_indices",
    "arrow_config",
    "megatron_config",
    "use_qalora",
    "monteclora_config",
    "use_bdlora",
    "kasa_config",
)


def settings_of(folder: Path) -> dict[str, Any]:
    """An adapter's settings. Raises UserError where they are absent or no settings of an adapter we can use."""
    if not (folder / CONFIG).is_file():
        todo = f"Give the whole folder: {CONFIG} and {WEIGHTS}, or a zip of both."
        raise UserError(f"This is not an adapter: there is no {CONFIG}.", todo, code="no_adapter")
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
    return _odd(settings)


def _odd(settings: Mapping[str, Any]) -> Problem | None:
    """What of a plain LoRA's settings is not taken here."""
    odd = [name for name in UNKNOWN if settings.get(name)]
    if odd:
        return _no(f"it uses {odd[0]}, which LoRALab does not know")
    if settings.get("bias") not in (None, "none") or settings.get("lora_bias"):
        return _no("it changes biases of its base, too, and these cannot be switched off again to compare it with its base")
    numbers = (settings.get("r"), settings.get("lora_alpha"))
    sound = all(isinstance(number, int | float) and 0 < number < math.inf for number in numbers) and isinstance(numbers[0], int)
    if not sound or not isinstance(settings.get("target_modules") or None, str | list):
        return _no("its settings name no rank, no alpha or no target modules")
    return None


def _no(reason: str) -> Problem:
    return Problem(code="unknown_adapter", what=f"This adapter cannot be used: {reason}.", todo="Choose another adapter.")


# ---- against a base --------------------------------------------------------------------------------------------------------


def misfit(settings: Mapping[str, Any], adapter: Adapter, expected: Expected, base: str) -> Problem | None:
    """What does not match between an adapter and what the base `base` asks for, in one sentence; None where every tensor has its place."""
    said = (
        _missing_layers(adapter, expected.weights)
        or next(filter(None, (_module(name, parts, expected, settings) for name, parts in adapter.pairs.items())), "")
        or next(filter(None, (_whole(name, shape, expected) for name, shape in adapter.whole.items())), "")
        or next(filter(None, (_whole(name, shape, expected) for name, shape in adapter.copies.values())), "")
    )
    if said:
        what = f"This adapter does not fit the base model “{base}”: {said}."
        return Problem(code="other_base", what=what, todo="Choose the base model it was trained on.")
    if expected.reason == "none":
        what = f"This adapter does not fit the base model “{base}”: its settings name parts ({_targets(settings)}) that are not there."
        return Problem(code="other_base", what=what, todo="Choose the base model it was trained on.")
    if expected.reason:
        return _no(f"its settings do not go with this base ({expected.said.strip().splitlines()[0][:200].rstrip('.') or 'no reason told'})")
    return _incomplete(adapter, expected)


def _targets(settings: Mapping[str, Any]) -> str:
    named = settings["target_modules"]
    return (named if isinstance(named, str) else ", ".join(map(str, named)))[:80]


def _missing_layers(adapter: Adapter, known: Shapes) -> str:
    wanted, there = _count(adapter.pairs), _count(known)
    return f"it changes {count(wanted, 'layer')}, and this base has {there}" if wanted > there else ""


def _count(names: Iterable[str]) -> int:
    return max((int(found[1]) + 1 for found in map(_LAYER.search, names) if found), default=0)


def _module(name: str, parts: Shapes, expected: Expected, settings: Mapping[str, Any]) -> str:
    """What is wrong with the matrices of one module; empty when nothing is."""
    if len(expected.weights.get(f"{name}.weight", ())) != 2:
        return f"its part {name} is not there"
    kind = "lora_embedding_" if "lora_embedding_A" in parts else "lora_"
    a, b = parts.get(f"{kind}A"), parts.get(f"{kind}B")
    if not a or not b:
        return f"half of its part {name} is missing"
    return "" if expected.reason else _sizes(name, [a, b], kind, expected, settings)


def _sizes(name: str, found: list[list[int]], kind: str, expected: Expected, settings: Mapping[str, Any]) -> str:
    """What is wrong with the sizes of a module's two matrices."""
    a, b = found
    end = "" if kind == "lora_embedding_" else ".weight"
    wanted = [expected.tensors.get(f"{PREFIX}{name}.{kind}{side}{end}") for side in "AB"]
    if not wanted[0] or not wanted[1]:
        return f"it changes its part {name}, which its settings do not name ({_targets(settings)})"
    out, inside = wanted[1][0], wanted[0][1]
    if (b[0], a[1]) != (out, inside):
        return f"its part {name} is {a[1]} wide and gives {b[0]}, here it is {inside} wide and gives {out}"
    if [a, b] != wanted:
        return f"its part {name} has rank {a[0]}, and its settings say {wanted[0][0]}"
    return ""


def _whole(name: str, shape: list[int], expected: Expected) -> str:
    """What is wrong with a whole tensor: one that is replaced, or carried along as a copy."""
    there = expected.tensors.get(PREFIX + name) or expected.weights.get(name)
    if there is None:
        return f"it replaces {name}, which is not there"
    if there != shape and name.endswith(("embed_tokens.weight", "lm_head.weight", "wte.weight")):
        return f"it was trained with a vocabulary of {count(shape[0], 'token')}, and this base has {there[0]:,}"
    return f"it replaces {name} by one of another size ({_size(shape)} for {_size(there)})" if there != shape else ""


def _size(shape: list[int]) -> str:
    return " x ".join(map(str, shape))


def _incomplete(adapter: Adapter, expected: Expected) -> Problem | None:
    """What the settings name and the file lacks: a file that was cut, or a part of a larger one."""
    parts = {name: unwrapped(name).rpartition(".lora_")[0] or unwrapped(name) for name in expected.tensors}
    lost = sorted({part for name, part in parts.items() if name not in adapter.shapes})
    if not lost:
        return None
    of = len(set(parts.values()))
    what = f"This adapter is incomplete: {len(lost)} of {count(of, 'part')} that it should change are missing (first {lost[0]})."
    return Problem(code="incomplete", what=what, todo="Copy the adapter again.")
